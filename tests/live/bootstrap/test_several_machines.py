"""A controller and nodes over ssh: they come, they go, and one is lost in the middle."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.live.bootstrap.conftest import Bed, Box

HOST = ("--host", "root@c1")


def gpus_seen(bed: Bed) -> list[str]:
    """The nodes that proved to hand out their GPUs."""
    proved = bed.bootstrap("slurm", "verify", *HOST, "--json")
    assert proved.exit_code == 0, proved.out
    titles = [check["title"] for check in json.loads(proved.out)["checks"]]
    return [title.split()[3] for title in titles if title.endswith("got the GPU it asked for")]


def test_nodes_come_and_go(bed: Bed, boot: Callable[..., Box]) -> None:
    """A controller without a GPU and one node; a second joins, the first leaves as bare as it came; then all go."""
    head, first, second = boot("c1", gpus=0), boot("n1", gpus=2), boot("n2", gpus=1)
    bare = {box.name: box.tree() for box in (head, first, second)}

    applied = bed.bootstrap("slurm", "apply", *HOST, "--node", "root@n1", "--rest", "--yes")
    assert applied.exit_code == 0, applied.err
    assert gpus_seen(bed) == ["n1"]
    assert head.processes() == {"munged", "slurmctld", "slurmrestd"}
    assert first.sh("sha256sum < /etc/munge/munge.key") == head.sh("sha256sum < /etc/munge/munge.key")

    joined = bed.bootstrap("slurm", "nodes", "add", "root@n2", *HOST, "--yes")
    assert joined.exit_code == 0, joined.err
    assert gpus_seen(bed) == ["n1", "n2"]
    assert head.sh("srun -N2 -l --gres=gpu:1 nvidia-smi -L | sort | cut -c1-9").splitlines() == [
        "0: GPU 0:",
        "1: GPU 0:",
    ]

    left = bed.bootstrap("slurm", "nodes", "remove", "root@n1", *HOST, "--yes")
    assert left.exit_code == 0, left.err
    assert first.tree() == bare["n1"]
    assert gpus_seen(bed) == ["n2"]

    undone = bed.bootstrap("slurm", "undo", *HOST, "--yes")
    assert undone.exit_code == 0, undone.err
    for box in (head, second):
        assert {k: v for k, v in box.tree().items() if not k.startswith("/var/spool/slurm")} == bare[box.name]
        assert box.processes() == set()


def test_a_node_that_dies_in_the_middle_is_finished_after_its_return(
    bed: Bed, boot: Callable[..., Box], power: Callable[[str], None]
) -> None:
    """The error names the machine; what is done stays done; after a reboot the same command ends the work."""
    boot("c1", gpus=0)
    boot("n1", gpus=1)
    words = ("slurm", "apply", *HOST, "--node", "root@n1", "--yes")
    running = subprocess.Popen(bed.command(*words), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert running.stderr is not None
    with running.stderr as progress:
        for line in progress:
            if "root@n1: Have the controller's munge key" in line:
                power("n1")
                break
        said = progress.read()
    assert running.wait() == 1
    assert "root@n1 cannot be reached over ssh" in said
    assert "are done and" in said.splitlines()[-1]

    boot("n1", gpus=1)
    again = bed.bootstrap(*words)

    assert again.exit_code == 0, again.err
    assert "unchanged root@n1: Install Slurm and munge" in again.err
    assert gpus_seen(bed) == ["n1"]
