"""Parsers of probes, on outputs of real machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs.bootstrap import LocalShell, facts
from gpujobs.bootstrap.facts import Cpus
from gpujobs.bootstrap.shell import Completed
from gpujobs.bootstrap.slurm import addresses, probes

if TYPE_CHECKING:
    from pathlib import Path

H100 = "0, NVIDIA H100 80GB HBM3, GPU-aef9e0e3, 81559, 550.54.15\n1, NVIDIA H100 80GB HBM3, GPU-b, 81559, 550.54.15\n"


def answers(**changes: str | int) -> dict[str, Completed]:
    """What the probes say on a Debian 12 with two GPUs, but for the changes."""
    texts: dict[str, str | int] = {
        "hostname": "gpu01\n",
        "os_release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n# ID=no\n',
        "architecture": "x86_64\n",
        "user": "0\n",
        "init": "systemd\n",
        "cgroup_fs": "cgroup2fs\nwritable\n",
        "init_cgroup": "/init.scope\n",
        "lscpu": "# CPU,Core,Socket\n0,0,0\n1,1,0\n2,0,0\n3,1,0\n",
        "meminfo": "MemTotal:       24683656 kB\nMemFree:        1 kB\n",
        "disk": "Filesystem 1024-blocks Used Available Capacity Mounted\n/dev/vda 264212084 22831936 72669328 24% /\n",
        "resolved": "10.0.0.5       STREAM gpu01\n10.0.0.5       DGRAM\n",
        "date": "1000.50\n",
        "pci": "0x030200\n0x040300\n0x030000\n",
        "nvidia_smi": H100,
        "gpu_files": "/dev/nvidia0\n/dev/nvidia10\n/dev/nvidia2\n",
    }
    texts.update(changes)
    return {
        name: Completed((), said, b"", b"no driver") if isinstance(said, int) else Completed((), 0, said.encode())
        for name, said in texts.items()
    }


def test_every_probe_is_answered_here() -> None:
    """The table of the tests has the probes that there are."""
    assert set(answers()) == set(facts.PROBES)


def test_a_machine_is_read_from_its_probes() -> None:
    """All facts at once."""
    found = facts.parse(answers(), now=1000.0)

    assert (found.hostname, found.os_id, found.os_version) == ("gpu01", "debian", "12")
    assert (found.root, found.systemd, found.cgroups) == (True, True, "v2")
    assert found.cpus == Cpus(sockets=1, cores_per_socket=2, threads_per_core=2)
    assert (found.memory_mib, found.disk_free_mib) == (24105, 70966)
    assert (found.address, found.clock_offset_s) == ("10.0.0.5", 0.5)
    assert (found.driver, found.nvidia_cards, len(found.gpus)) == ("550.54.15", 2, 2)
    assert found.gpu_files == ("/dev/nvidia0", "/dev/nvidia2", "/dev/nvidia10")
    assert not found.unified_memory


def test_a_bare_machine_is_read_too() -> None:
    """No driver, no GPU, no systemd, no name, no root: each is a fact and none an error."""
    found = facts.parse(
        answers(nvidia_smi=127, gpu_files="", pci="", init="", resolved="", user="1000\n", os_release=""), now=1000.0
    )

    assert (found.driver, found.driver_trouble, found.gpus, found.gpu_files) == ("", "no driver", (), ())
    assert (found.systemd, found.root, found.address, found.os_name) == (False, False, "", "an unknown system")


def test_the_probe_of_control_groups_ends_well_without_a_second_version(tmp_path: Path) -> None:
    """A probe that exits badly counts as not answered, and most machines have no ``unified`` directory."""
    program, option, script = facts.PROBES["cgroup_fs"]
    there = script.replace("/sys/fs/cgroup", str(tmp_path))
    assert there != script

    ended = LocalShell().run((program, option, there))
    (tmp_path / "unified").mkdir()
    hybrid = LocalShell().run((program, option, there))

    assert (ended.exit_code, ended.text.split()[1:]) == (0, ["writable"])
    assert (hybrid.exit_code, hybrid.text.split()[1:]) == (0, ["writable", "unified"])


def test_probes_are_answered_by_a_real_machine() -> None:
    """All of them in one round trip, each with its own exit code."""
    found = facts.gather(LocalShell())

    assert found.hostname == LocalShell().run(("hostname", "-s")).text.strip()
    assert found.memory_mib > 100
    assert found.cpus.total >= 1
    assert abs(found.clock_offset_s) < 60


def test_an_answer_that_was_cut_off_has_failed() -> None:
    """What a lost connection swallowed is no fact."""
    cut = facts.answers_of([b"0", b"gpu01", b"0"])

    assert (cut["hostname"].text, cut["hostname"].ok) == ("gpu01", True)
    assert cut["os_release"].ok
    assert not cut["date"].ok


@pytest.mark.parametrize("memory", ["[N/A]", "Not Supported", "[Not Supported]"])
def test_a_gpu_without_memory_of_its_own_is_unified(memory: str) -> None:
    """GB10 names no memory; that is how it is known."""
    found = facts.parse(answers(nvidia_smi=f"0, NVIDIA GB10, GPU-1, {memory}, 580.95.05\n"), now=1000.0)

    assert found.gpus[0].memory_mib is None
    assert found.unified_memory


@pytest.mark.parametrize(
    ("text", "group"), [("/init.scope\n", "/"), ("/\n", "/"), ("/process_api\n", "/process_api"), ("", "/")]
)
def test_the_group_of_the_first_process_is_read(text: str, group: str) -> None:
    """Version 1 alone has none."""
    assert facts.parse_init_cgroup(text) == group


def test_an_nvidia_smi_without_gpus_lists_none() -> None:
    """It exits 0 and says so in words."""
    assert facts.parse_gpus("No devices were found\n") == ((), "")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("tmpfs\nwritable\n", "v1"),
        ("tmpfs\nwritable\nunified\n", "hybrid"),
        ("cgroup2fs\nwritable\n", "v2"),
        ("cgroup2fs\n", "none"),
        ("ext2/ext3\nwritable\n", "none"),
        ("", "none"),
    ],
)
def test_control_groups_are_told_apart(text: str, kind: str) -> None:
    """Read-only ones are none."""
    assert facts.parse_cgroups(text) == kind


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("0,0,0\n1,1,1\n2,0,0\n3,1,1\n", (2, 1, 2)),
        ("0,0,0\n1,1,0\n2,2,0\n", (1, 3, 1)),
        ("0,0,0\n1,0,0\n2,1,0\n", (1, 3, 1)),  # a performance core with two threads beside one with one
        ("", (1, 1, 1)),
    ],
)
def test_processors_are_laid_out(rows: str, expected: tuple[int, int, int]) -> None:
    """An uneven layout is counted flat, which Slurm accepts."""
    cpus = facts.parse_lscpu("# CPU,Core,Socket\n" + rows)

    assert (cpus.sockets, cpus.cores_per_socket, cpus.threads_per_core) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "slurmctld:\n  Installed: (none)\n  Candidate: 22.05.8-4+deb12u3\n  Version table:\n",
            ("", "22.05.8-4+deb12u3"),
        ),
        ("slurmd:\n  Installed: 23.11.4-1.2ubuntu5\n  Candidate: 23.11.4-1.2ubuntu5\n", ("23.11.4-1.2ubuntu5",) * 2),
        ("", ("", "")),
    ],
)
def test_a_package_is_installed_or_to_be_had(text: str, expected: tuple[str, str]) -> None:
    """Without lists there is neither."""
    assert probes.parse_policy(text) == expected


@pytest.mark.parametrize(
    ("text", "version"),
    [("22.05.8-4+deb12u3", "22.05.8"), ("1:24.11.5-1", "24.11.5"), ("25.05-1", "25.05"), ("", ""), ("git", "")],
)
def test_slurms_version_is_in_the_packages(text: str, version: str) -> None:
    """Epoch and revision are Debian's."""
    assert probes.parse_version(text) == version


def test_addresses_are_read() -> None:
    """The first address, and the source of a route."""
    assert addresses.parse_hosts("10.77.0.3       STREAM n2\n10.77.0.3       DGRAM\n") == "10.77.0.3"
    assert addresses.parse_hosts("") == ""
    assert addresses.parse_route("10.77.0.3 dev eth0 src 10.77.0.2 uid 0 \n    cache\n") == "10.77.0.2"
    assert addresses.parse_route("RTNETLINK answers: Network is unreachable") == ""
