"""Finding GPUs and matching them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs_local._gpus import Device, environment, find, parse_smi, visible
from gpujobs_local._match import Demand, Machine, eligible, is_type
from gpujobs_local._queue import Turn
from gpujobs_local._records import Queued
from gpujobs_local._settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """0, GPU-5f2c, NVIDIA A100-SXM4-40GB, 40960
1, GPU-77aa, NVIDIA GB10, [N/A]
2, GPU-99bb, NVIDIA H100 80GB HBM3, 81559
Unable to determine the device handle for GPU 0000:3B:00.0: Unknown Error
"""
LISTING = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5f2c)
  MIG 1g.5gb      Device  0: (UUID: MIG-aaaa)
  MIG 3g.20gb     Device  1: (UUID: MIG-bbbb)
GPU 1: NVIDIA GB10 (UUID: GPU-77aa)
GPU 2: NVIDIA H100 80GB HBM3 (UUID: GPU-99bb)
"""
FOUND = parse_smi(TABLE, LISTING)


def names(devices: list[Device]) -> list[str]:
    """Their UUIDs."""
    return [d.uuid for d in devices]


def test_the_outputs_of_nvidia_smi_are_read() -> None:
    """Memory that is not told, instances of a cut GPU, a line that is an error."""
    assert [
        Device("GPU-5f2c", 0, "NVIDIA A100-SXM4-40GB", 40960 * 2**20, mig_parent=True),
        Device("MIG-aaaa", 0, "NVIDIA A100-SXM4-40GB", None, profile="1g.5gb"),
        Device("MIG-bbbb", 0, "NVIDIA A100-SXM4-40GB", None, profile="3g.20gb"),
        Device("GPU-77aa", 1, "NVIDIA GB10", None),
        Device("GPU-99bb", 2, "NVIDIA H100 80GB HBM3", 81559 * 2**20),
    ] == FOUND
    assert parse_smi("", "") == []


def test_a_program_on_path_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where NVML does not answer, ``nvidia-smi`` does; the answer is kept for a while."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\necho x >> "$0.calls"\ncase "$1" in -L) ;; *) echo "0, GPU-1, NVIDIA L4, 23034";; esac\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("gpujobs_local._gpus._by_nvml", lambda: None)
    cache = tmp_path / "gpus.json"

    assert find(Settings(), cache) == find(Settings(), cache) == [Device("GPU-1", 0, "NVIDIA L4", 23034 * 2**20)]
    assert (tmp_path / "nvidia-smi.calls").read_text() == "x\nx\n"
    cache.write_text("{ damaged")
    assert names(find(Settings(), cache)) == ["GPU-1"]


def test_pretended_gpus(tmp_path: Path) -> None:
    """So many, of that type and memory."""
    assert find(Settings(2, "h100", 5), tmp_path / "none") == [
        Device("SIM-0", 0, "h100", 5),
        Device("SIM-1", 1, "h100", 5),
    ]


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        (None, ["GPU-5f2c", "MIG-aaaa", "MIG-bbbb", "GPU-77aa", "GPU-99bb"]),
        ("", []),
        ("2,1", ["GPU-99bb", "GPU-77aa"]),
        ("GPU-9", ["GPU-99bb"]),
        ("MIG-bbbb", ["MIG-bbbb"]),
        ("1,7,2", ["GPU-77aa"]),
        ("-1", []),
        (" 1 , 1 ", ["GPU-77aa"]),
        ("NoDevFiles", []),
    ],
)
def test_cuda_visible_devices(setting: str | None, wanted: list[str]) -> None:
    """As CUDA reads it: what names nothing ends the list."""
    assert names(visible(FOUND, setting)) == wanted


def test_what_a_job_is_told() -> None:
    """Indices; UUIDs where instances make them ambiguous; nothing where it has none."""
    assert environment([FOUND[4], FOUND[3]])["CUDA_VISIBLE_DEVICES"] == "2,1"
    assert environment([FOUND[1]])["CUDA_VISIBLE_DEVICES"] == "MIG-aaaa"
    assert environment([])["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize(
    ("demand", "wanted"),
    [
        (Demand(1), ["GPU-77aa", "GPU-99bb"]),
        (Demand(1, profile="3g.20gb"), ["MIG-bbbb"]),
        (Demand(1, types=("h100",)), ["GPU-99bb"]),
        (Demand(1, types=("a100",)), []),  # it is cut into instances
        (Demand(1, memory=60 * 2**30), ["GPU-77aa", "GPU-99bb"]),  # GB10 uses the machine's
        (Demand(1, memory=100 * 2**30), ["GPU-77aa"]),
        (Demand(1, visible=("GPU-99bb",)), ["GPU-99bb"]),
        (Demand(1, visible=()), []),
    ],
)
def test_which_gpus_a_job_could_use(demand: Demand, wanted: list[str]) -> None:
    """By type, memory, profile and what the submitter sees."""
    assert names(eligible(FOUND, demand, 128 * 2**30)) == wanted


def test_where_all_is_cut_an_instance_counts_as_a_gpu() -> None:
    """Nothing else could be handed out."""
    assert names(eligible(FOUND[:3], Demand(1), 0)) == ["MIG-aaaa", "MIG-bbbb"]


@pytest.mark.parametrize(
    ("name", "wanted", "same"),
    [
        ("NVIDIA H100 80GB HBM3", "h100", True),
        ("NVIDIA H100 80GB HBM3", "NVIDIA-H100-80GB-HBM3", True),
        ("NVIDIA H100 80GB HBM3", "h10", False),
        ("NVIDIA A100-SXM4-40GB", "a100-80gb", False),
        ("NVIDIA RTX A6000", "6000", False),
        ("NVIDIA GB10", "gb10", True),
        ("simulated", "Simulated", True),
        ("NVIDIA L4", "-", False),
    ],
)
def test_types_match_word_by_word(name: str, wanted: str, same: bool) -> None:  # noqa: FBT001  # a table
    """In any case, never by a part of a word."""
    assert is_type(name, wanted) is same


def queued(number: int, *, gpus: int = 0, cpus: float = 0, memory: int = 0, types: tuple[str, ...] = ()) -> Queued:
    """A job in the queue."""
    demand = Demand(gpus, types) if gpus else Demand()
    return Queued(number, demand, cpus, memory, 0, None, False, None, None)


def turn(**free: float) -> Turn:
    """A walk over a machine with two L4 and one H100."""
    kinds = ["l4", "l4", "h100"]
    machine = Machine(tuple(Device(f"G{i}", i, kind) for i, kind in enumerate(kinds)), 8.0, 100)
    return Turn(machine, free.get("cpus", 8.0), int(free.get("memory", 100)), int(free.get("slots", 10)))


def test_who_waits_keeps_what_it_could_use() -> None:
    """A later job gets only GPUs that nobody ahead could use."""
    walk = turn()
    walk.wait(queued(1, gpus=2, types=("l4",)))

    assert walk.candidates(queued(2, gpus=1, types=("l4",))) is None
    assert names(list(walk.candidates(queued(3, gpus=1)) or ())) == ["G2"]
    assert walk.candidates(queued(4)) == []


def test_a_job_for_other_gpus_passes() -> None:
    """Nobody is delayed by it."""
    walk = turn()
    walk.wait(queued(1, gpus=2, types=("l4",)))

    assert names(list(walk.candidates(queued(2, gpus=1, types=("h100",))) or ())) == ["G2"]


def test_a_job_that_no_gpu_can_serve_holds_up_nobody() -> None:
    """A GPU is gone since it was taken: it waits, the others run."""
    walk = turn()

    assert walk.candidates(queued(1, gpus=4)) is None
    assert len(walk.candidates(queued(2, gpus=3)) or ()) == 3


def test_cpus_memory_and_slots_run_out() -> None:
    """And are kept for the first who waits for them."""
    walk = turn(cpus=2)
    assert walk.candidates(queued(1, cpus=4)) is None
    assert walk.candidates(queued(2, cpus=1)) is None
    assert walk.candidates(queued(3)) == []
    assert turn(memory=10).candidates(queued(1, memory=20)) is None
    assert turn(slots=0).candidates(queued(1)) is None
    walk = turn()
    walk.take(queued(1, cpus=8, memory=60))
    assert (walk.cpus, walk.memory, walk.slots) == (0, 40, 9)
