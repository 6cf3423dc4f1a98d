"""Many at once against stand-ins for Slurm's commands: one array, one process, a handful of files, one question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, GpuJob, SubmitManyError

from .test_sending import SBATCH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    StandIns = Callable[[str, str], None]


@pytest.fixture
def sent(tmp_path: Path) -> Callable[[], int]:
    """How often sbatch was run."""
    return lambda: len(list(tmp_path.glob("argv.*")))


def test_equal_resources_become_one_array(
    client: Client, stand_ins: StandIns, sent: Callable[[], int], tmp_path: Path
) -> None:
    """Keys that are taken are left out of it; others go alone; each has its own ref, in order."""
    stand_ins("sbatch", SBATCH)
    client.submit(["true"], idempotency_key="taken")
    specs = [GpuJob(command=["echo", str(i)]) for i in range(4)] + [GpuJob(command=["true"], memory="1GiB")]

    with pytest.raises(SubmitManyError) as caught:
        client.submit_many(specs, idempotency_keys=["a", "taken", "b", "c", "d"])

    assert [r.id if r else None for r in caught.value.refs] == ["2_0", None, "2_2", "2_3", "3"]
    assert sent() == 3
    assert (tmp_path / "argv.2").read_text().strip() == "--parsable --array=0,2-3"
    again = client.submit_many([specs[0], specs[2]], idempotency_keys=["a", "b"])
    assert [job.ref.id for job in again] == ["2_0", "2_2"]


def test_a_bulk_costs_one_sbatch_and_a_handful_of_files(
    client: Client, stand_ins: StandIns, sent: Callable[[], int], tmp_path: Path
) -> None:
    """Five hundred jobs that ask for the same: one process, one job directory, no file for any of them alone."""
    stand_ins("sbatch", SBATCH)
    client.submit(["warm", "up"])
    before = {path for path in tmp_path.rglob("*") if not path.name.startswith(("argv.", "script."))}
    jobs = client.submit_many([GpuJob(command=["echo", str(i)], env={"I": str(i)}) for i in range(500)])
    made = {path for path in tmp_path.rglob("*") if not path.name.startswith(("argv.", "script."))} - before

    assert [job.ref.id for job in jobs] == [f"2_{i}" for i in range(500)]
    assert sent() == 2
    names = sorted(path.name.split("-")[0] for path in made)
    assert names == ["2", "bulk", "claim.json", "keys", "rows", "script", "sent.2"]


def test_an_open_bulk_is_found_and_sent_with_one_question(
    client: Client, stand_ins: StandIns, sent: Callable[[], int], tmp_path: Path
) -> None:
    """However many keys are open: one squeue finds those that Slurm has, one sbatch sends the others."""
    silent = "#!/bin/sh\ncat >/dev/null\necho thanks\n"
    stand_ins("sbatch", silent)
    stand_ins("squeue", "#!/bin/sh\necho 'squeue: error: Unable to contact slurm controller' >&2; exit 1\n")
    with pytest.raises(SubmitManyError):
        client.submit_many([GpuJob(command=["echo", str(i)]) for i in range(40)])
    assert len(client.open_submissions()) == 40

    stand_ins("sbatch", SBATCH)
    rows = "".join(f"echo '55_{i}|PENDING|None||0|1|N/A|N/A|0|x||'\n" for i in range(30))
    stand_ins("squeue", f'#!/bin/sh\necho x >> "$(dirname "$0")/../asked"\n{rows}')
    jobs = client.resume()

    assert [job.ref.id for job in jobs] == [f"55_{i}" for i in range(30)] + [f"1_{i}" for i in range(30, 40)]
    assert (tmp_path / "argv.1").read_text().strip() == "--parsable --array=30-39"
    assert ((tmp_path / "asked").read_text().count("x"), sent()) == (1, 1)
    assert client.open_submissions() == []
    keys = [job.key or "" for job in jobs]
    again = client.submit_many([GpuJob(command=["echo", str(i)]) for i in range(40)], idempotency_keys=keys)
    assert again == jobs


def test_an_open_bulk_names_every_key(client: Client, stand_ins: StandIns) -> None:
    """Each error has the key of its own workload."""
    stand_ins("sbatch", "#!/bin/sh\ncat >/dev/null\necho 'sbatch: error: Socket timed out on send/recv' >&2; exit 1\n")
    stand_ins("squeue", "#!/bin/sh\necho 'squeue: error: Unable to contact slurm controller' >&2; exit 1\n")
    with pytest.raises(SubmitManyError) as caught:
        client.submit_many([GpuJob(command=["true"])] * 3, idempotency_keys=["a", "b", "c"])

    assert [e.key for e in caught.value.errors if e] == ["a", "b", "c"]
