"""The keeper: looks again and again while something waits and nobody else may be there to look. Ends by itself."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gpujobs.errors import GpuJobsError
from gpujobs_local import _records
from gpujobs_local._cgroup import leave
from gpujobs_local._flock import try_lock, unlock
from gpujobs_local._home import Home
from gpujobs_local._schedule import run_pass
from gpujobs_local._spawn import close_strangers, note

if TYPE_CHECKING:
    import sqlite3

_LOOK_S = 0.2
"""Between two looks at the change counter, one tiny read: who changes something runs a pass, unless it is killed."""

_PASS_S, _LONGEST_PASS_S, _SLOWER = 0.5, 2.0, 1.2
"""At the latest after so long a pass is due: other users' GPUs become free without any change here."""


def main() -> None:
    """``_keeper DIRECTORY TARGET LOCK``: ``LOCK`` is the number of an open file that holds the keeper's lock."""
    leave()
    directory, target, lock = sys.argv[1:4]
    fd: int | None = int(lock)
    close_strangers([int(lock)])
    home = Home(Path(directory), target)
    while fd is not None:
        os.set_inheritable(fd, False)
        _keep(home)
        unlock(fd)
        # Whoever submitted just now saw the lock held and relied on us.
        fd = try_lock(home.directory / "keeper.lock") if _needed(home) else None


def _needed(home: Home) -> bool:
    if not home.store.exists():
        return False
    with home.store.read() as db:
        return _records.any_open(db)


def _keep(home: Home) -> None:
    pause = _PASS_S
    while home.store.exists():
        try:
            with home.store.watch() as db:
                seen = _records.changes(db)
                if not _records.any_open(db):
                    return
                run_pass(home)
                quiet = _wait(db, seen, pause)
            pause = min(pause * _SLOWER, _LONGEST_PASS_S) if quiet else _PASS_S
        except GpuJobsError as e:  # a full disk, a busy file: somebody may mend it
            note(e)
            time.sleep(_PASS_S)


def _wait(db: sqlite3.Connection, seen: int, pause: float) -> bool:
    """Until something changes, which gives False, or the next pass is due."""
    now = time.time()
    due = time.monotonic() + min(pause, _records.next_limit(db, now) - now)
    while _records.changes(db) == seen:
        left = due - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, _LOOK_S))
    return False
