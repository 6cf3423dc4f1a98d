"""Killed before and after each change that kubectl or helm makes, the next run ends where one whole run would."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.live.bootstrap.kubernetes.lab import Lab

pytestmark = pytest.mark.long

WHOLE = {"node1": 2, "node2": 1}
KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}
SHARE = ("gpu-sharing", "apply", "--time-slice", "4", "--node", "node2=time-slice:2", "--yes")


def done(lab: Lab, *words: str) -> None:
    """A run that has to succeed."""
    ran = lab.gpujobs(*words)
    assert ran.returncode == 0, ran.stderr


def deaths(lab: Lab, directory: Path, words: tuple[str, ...], ready: Callable[[], None]) -> Iterator[str]:
    """Run a command again and again, killed before and after its first change, its second, ... until it has no more."""
    (directory / "bin").mkdir()
    for name in ("kubectl", "helm"):
        (directory / "bin" / name).symlink_to(Path(__file__).parent / "killer.py")
    deadly = lab.beside(directory / "bin", KILLER=str(directory))
    for number in range(1, 30):
        for when in ("before", "after"):
            ready()
            (directory / "order").write_text(f"{when} {number}")
            (directory / "log").write_text("")
            ran = deadly.run(sys.executable, "-m", "gpujobs.bootstrap", *words, check=False)
            lab.run("flock", "-w", "20", "/run/gpujobs-bootstrap.lock", "true")
            if ran.returncode not in KILLED:
                assert ran.returncode == 0, ran.stderr
                return
            yield f"{when} {number}"


@pytest.mark.timeout(1800, func_only=True)
def test_sharing_that_was_killed_is_finished(installed: Lab, tmp_path: Path) -> None:
    """Every apply that died is finished by the next, and taken back whole."""
    died: list[str] = []
    for death in deaths(installed, tmp_path, SHARE, lambda: None):
        died.append(death)
        done(installed, *SHARE)
        assert installed.numbers() == {"node1": 8, "node2": 2}, death
        done(installed, "gpu-sharing", "undo", "--yes")
        assert installed.numbers() == WHOLE, death

    assert len(died) >= 6


@pytest.mark.timeout(1800, func_only=True)
def test_the_undo_of_sharing_that_was_killed_is_finished(installed: Lab, tmp_path: Path) -> None:
    """Every undo that died is finished by the next."""
    died: list[str] = []
    for death in deaths(installed, tmp_path, ("gpu-sharing", "undo", "--yes"), lambda: done(installed, *SHARE)):
        died.append(death)
        installed.gpujobs("gpu-sharing", "undo", "--yes")  # refused where only the last note was missing
        installed.eventually(lambda: installed.numbers() == WHOLE)

    assert len(died) >= 6


@pytest.mark.timeout(1800, func_only=True)
def test_an_operator_that_was_killed_is_finished(lab: Lab, tmp_path: Path) -> None:
    """An install that died, and then a removal that died: both are finished by the next run, without a trace."""
    before = lab.objects()
    install = ("gpu-operator", "apply", "--yes", "--chart", lab.chart, "--ready-timeout", "90", *lab.settings())
    died: list[str] = []
    (tmp_path / "apply").mkdir()
    for death in deaths(lab, tmp_path / "apply", install, lambda: None):
        died.append(death)
        done(lab, *install)
        done(lab, "gpu-operator", "undo", "--yes")
        assert lab.objects() == before, death
    done(lab, "gpu-operator", "undo", "--yes")
    (tmp_path / "undo").mkdir()
    for death in deaths(lab, tmp_path / "undo", ("gpu-operator", "undo", "--yes"), lambda: done(lab, *install)):
        died.append(death)
        lab.gpujobs("gpu-operator", "undo", "--yes")
        assert lab.objects() == before, death

    assert len(died) >= 2 + 2 * 7
