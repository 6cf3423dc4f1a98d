"""A run that is killed, again and again, ends where a run ends that is left alone."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.live.bootstrap.conftest import Bed, Box

APPLY = ("slurm", "apply", "--host", "root@c1", "--yes")
UNDO = ("slurm", "undo", "--host", "root@c1", "--yes")
JOURNAL = "/var/lib/gpujobs/bootstrap/slurm/journal.json"
# Random, or written by the daemons as they run.
CHANGING = ("/var/spool/slurm", "/var/log/", "/etc/munge/munge.key", "/var/lib/gpujobs", "/var/lib/munge")


def until_done(bed: Bed, words: tuple[str, ...], phases: tuple[str, ...], steps: int) -> int:
    """Start the command and kill it after so many steps, or into the next one, until one run ends by itself."""
    kills = 0
    while True:
        running = subprocess.Popen(bed.command(*words), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert running.stderr is not None
        with running.stderr as progress:
            done = 0
            for line in progress:
                done += any(f"] {phase}" in line for phase in phases)
                if done == steps:
                    time.sleep(0.03 * (kills % 4))
                    running.kill()
                    break
            progress.read()
        if running.wait() != -9:
            assert running.returncode == 0
            return kills
        kills += 1


def steady(box: Box) -> dict[str, str]:
    """The tree without what is random or running."""
    return {path: state for path, state in box.tree().items() if not path.startswith(CHANGING)}


def noted(box: Box) -> list[tuple[str, str]]:
    """What the journal holds."""
    return sorted((entry["key"], entry["kind"]) for entry in json.loads(box.sh(f"cat {JOURNAL}"))["entries"])


# Of a dozen steps; where a machine is quick, a kill comes a step late.
@pytest.mark.parametrize(("steps", "kills"), [pytest.param(1, 5, marks=pytest.mark.long), (4, 2)])
def test_killed_after_every_step(
    bed: Bed, boot: Callable[..., Box], power: Callable[[str], None], *, steps: int, kills: int
) -> None:
    """Killed after each step the end is the same, in the tree and in the journal; so is the end of a killed undo."""
    box = boot("c1")
    bare = steady(box)
    straight = bed.bootstrap(*APPLY)
    assert straight.exit_code == 0, straight.err
    expected, entries = steady(box), noted(box)
    power("c1")
    box = boot("c1", fresh=True)

    assert until_done(bed, APPLY, ("done",), steps) >= kills
    assert steady(box) == expected
    assert noted(box) == entries
    assert bed.bootstrap("slurm", "verify", "--host", "root@c1").exit_code == 0

    assert until_done(bed, UNDO, ("undone", "kept"), steps) >= kills
    assert steady(box) == bare
    assert box.processes() == set()


def test_a_reboot_is_mended_by_apply(bed: Bed, boot: Callable[..., Box], power: Callable[[str], None]) -> None:
    """Without systemd nothing starts by itself; apply starts the daemons and changes nothing else."""
    box = boot("c1")
    assert bed.bootstrap(*APPLY).exit_code == 0
    before = steady(box)
    power("c1")
    box = boot("c1")
    assert box.processes() == set()

    applied = bed.bootstrap(*APPLY, "--json")

    assert applied.exit_code == 0, applied.err
    assert [title.split()[2] for title in json.loads(applied.out)["changed"]] == ["munge,", "slurmctld,", "slurmd,"]
    assert steady(box) == before
    assert bed.bootstrap("slurm", "verify", "--host", "root@c1").exit_code == 0
