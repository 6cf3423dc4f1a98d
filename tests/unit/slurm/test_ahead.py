"""A command that is started before it is wanted: it is used once, and never left behind."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, GpuJob, PreflightError
from gpujobs_slurm.remote import processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    StandIns = Callable[[str, str], None]

READER = '#!/bin/sh\necho $$ >> "$(dirname "$0")/../started"\nexec cat\n'


@pytest.fixture
def started(stand_ins: StandIns, tmp_path: Path) -> Callable[[int], list[int]]:
    """The ids of the processes of a stand-in that says what it reads, once there are so many."""
    stand_ins("sbatch", READER)

    def look(count: int) -> list[int]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = (tmp_path / "started").read_text().split() if (tmp_path / "started").exists() else []
            if len(found) >= count:
                return [int(word) for word in found]
            time.sleep(0.01)
        raise AssertionError("it was not started")

    return look


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_was_started_ahead_is_used_once(started: Callable[[int], list[int]]) -> None:
    """The first that wants it gets it; the second gets one of its own."""
    with processes.ahead(["sbatch"]):
        first = started(1)
        assert processes.run(["sbatch"], stdin=b"one")["out"] == b"one"
        assert started(1) == first
        assert processes.run(["sbatch"], stdin=b"two")["out"] == b"two"

    assert len(started(2)) == 2


def test_what_was_started_ahead_and_not_wanted_is_ended(started: Callable[[int], list[int]]) -> None:
    """It is not taken for one with other variables, and not for one of later."""
    with processes.ahead(["sbatch"]):
        (pid,) = started(1)
        assert processes.run(["sbatch"], stdin=b"x", env={"A": "other"})["out"] == b"x"
        assert alive(pid)

    assert not alive(pid)
    assert processes.run(["sbatch"], stdin=b"own")["out"] == b"own"


def test_many_that_differ_use_it_for_one_of_them(client: Client, stand_ins: StandIns, tmp_path: Path) -> None:
    """They are sent by several threads, of which this one does its share."""
    stand_ins("sbatch", '#!/bin/sh\necho $$ >> "$(dirname "$0")/../started"\ncat >/dev/null\necho $$\n')

    jobs = client.submit_many([GpuJob(command=["true"], memory=f"{i + 1}MiB") for i in range(5)])

    assert len({job.ref.id for job in jobs}) == 5
    assert len((tmp_path / "started").read_text().split()) == 5


def test_a_job_that_is_refused_sends_nothing(client: Client, stand_ins: StandIns, tmp_path: Path) -> None:
    """Whatever was started for it has read no script."""
    stand_ins("sbatch", '#!/bin/sh\nif grep -q .; then echo sent > "$(dirname "$0")/../sent"; echo 7; fi\n')

    with pytest.raises(PreflightError):
        client.submit(["true"], gpus=99)

    time.sleep(0.1)  # what is left of a script that was ended
    assert not (tmp_path / "sent").exists()
    assert client.submit(["true"]).ref.id == "7"
