"""A bare machine becomes a Slurm cluster and a bare machine again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.live.bootstrap.conftest import Bed, Box

HOST = ("--host", "root@c1")
STATE = "/var/spool/slurm"


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "noble"])
def test_there_and_back(bed: Bed, boot: Callable[..., Box], suite: str) -> None:
    """A plan changes nothing; apply, apply again, verify, a user's job and its GPU; undo leaves the tree as it was."""
    box = boot("c1", suite=suite, gpus=2)
    bare = box.tree()

    planned = bed.bootstrap("slurm", "plan", *HOST, "--json")
    assert planned.exit_code == 0, planned.err
    assert json.loads(planned.out)["missing"] > 8
    assert box.tree() == bare

    applied = bed.bootstrap("slurm", "apply", *HOST, "--partition", "gpu", "--partition", "debug", "--yes")
    assert applied.exit_code == 0, applied.err
    assert box.processes() == {"munged", "slurmctld", "slurmd"}
    made = box.tree()

    again = bed.bootstrap("slurm", "apply", *HOST, "--yes", "--json")
    assert again.exit_code == 0, again.err
    assert json.loads(again.out)["changed"] == []
    volatile = {path for path in made if path.startswith((STATE, "/var/log/slurm", "/var/log/munge"))}
    assert {k: v for k, v in box.tree().items() if k in made and k not in volatile} == {
        k: v for k, v in made.items() if k not in volatile
    }

    proved = bed.bootstrap("slurm", "verify", *HOST, "--json")
    assert proved.exit_code == 0, proved.out
    titles = [check["title"] for check in json.loads(proved.out)["checks"]]
    assert titles[-2:] == ["A job on c1 got the GPU it asked for", "A job on c1 without a GPU sees none"]

    box.sh("useradd -m alice")
    box.sh(
        "cd /home/alice && runuser -u alice -- sbatch --wait -p debug --gres=gpu:2 -o out "
        "--wrap 'nvidia-smi -L; echo $CUDA_VISIBLE_DEVICES'"
    )
    assert box.sh("cat /home/alice/out").splitlines()[1:] == [
        "GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000001)",
        "0,1",
    ]
    box.sh("userdel -r alice 2>/dev/null; rm -f /etc/sub?id-")

    undone = bed.bootstrap("slurm", "undo", *HOST, "--yes", "--json")
    assert undone.exit_code == 0, undone.err
    assert [kept.partition(": ")[0] for kept in json.loads(undone.out)["kept"]] == ["root@c1"]
    left = {path: state for path, state in box.tree().items() if not path.startswith(STATE)}
    assert left == bare
    assert box.processes() == set()
