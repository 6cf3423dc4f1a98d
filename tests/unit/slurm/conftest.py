"""Orders, facts and stand-ins that the unit tests of the Slurm backend share. No Slurm is needed."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Client, Config, GpuJob
from gpujobs.backend import Submission
from gpujobs_slurm._facts import Facts
from gpujobs_slurm._script import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FACTS = Facts(home="/home/alice", user="alice", uid=1000, cluster="c1", version="24.11.5", gpu_types=("h100",))


def make_order(spec: GpuJob, **changes: Any) -> Order:
    """An order for a job, with everything else plain."""
    usual: dict[str, Any] = {
        "key": "k1",
        "record": "0123456789abcdef0123456789abcdef",
        "root": "/home/alice/.gpujobs/jobs/c1",
        "target": "lab",
        "facts": FACTS,
        "directory": "/work",
    }
    return Order(spec, **{**usual, **changes})


def submission(spec: GpuJob, key: str = "k1") -> Submission:
    """A submission of a job."""
    return Submission(spec, key, f"hash-{key}")


@pytest.fixture
def order() -> Callable[..., Order]:
    """Makes orders."""
    return make_order


@pytest.fixture
def submit_item() -> Callable[..., Submission]:
    """Makes submissions."""
    return submission


@pytest.fixture
def facts() -> Facts:
    """A plain cluster."""
    return FACTS


SCONTROL = """#!/bin/sh
test "$1" = --all && shift
case "$1 $2" in
"show config") printf 'ClusterName = c1\\nSLURM_VERSION = 24.11.5\\nMaxArraySize = 1001\\nMessageTimeout = 1 sec\\n' ;;
"show partition") echo 'PartitionName=gpu Default=YES MaxTime=01:00:00 State=UP' ;;
"show node") echo 'NodeName=n1 CPUTot=16 RealMemory=16000 Gres=gpu:h100:4 State=IDLE Partitions=gpu' ;;
esac
"""


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put programs of that name and text on the PATH, and no others but the system's."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")

    def put(name: str, text: str) -> None:
        path = directory / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return put


@pytest.fixture
def client(stand_ins: Callable[[str, str], None], tmp_path: Path) -> Iterator[Client]:
    """A client of a target whose Slurm commands are stand-ins."""
    stand_ins("scontrol", SCONTROL)
    for name in ("sbatch", "squeue", "scancel"):
        stand_ins(name, "#!/bin/sh\nexit 1\n")
    text = f'default = "lab"\n[targets.lab]\nbackend = "slurm"\njob_dir = "{tmp_path}/jobs"\ncontainer = "none"\n'
    with Client(Config.parse(text), state_dir=tmp_path / "state") as made:
        yield made
