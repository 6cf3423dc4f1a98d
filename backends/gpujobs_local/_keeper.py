"""The keeper: looks again and again while something waits and nobody else may be there to look. Ends by itself."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from gpujobs.errors import GpuJobsError
from gpujobs_local import _records
from gpujobs_local._home import Home
from gpujobs_local._schedule import run_pass, try_lock

_LOOK_S = 0.05
"""Between two looks at the change counter: one tiny read."""

_PASS_S = 0.5
"""At the latest after so long a pass is due: other users' GPUs become free without any change here."""


def main() -> None:
    """``_keeper DIRECTORY TARGET LOCK``: ``LOCK`` is the number of an open file that holds the keeper's lock."""
    directory, target, lock = sys.argv[1:4]
    fd: int | None = int(lock)
    home = Home(Path(directory), target)
    while fd is not None:
        os.set_inheritable(fd, False)
        _keep(home)
        os.close(fd)
        # Whoever submitted just now saw the lock held and relied on us.
        fd = try_lock(home.directory / "keeper.lock") if _needed(home) else None


def _needed(home: Home) -> bool:
    if not home.store.exists():
        return False
    with home.store.read() as db:
        return _records.any_open(db)


def _keep(home: Home) -> None:
    while home.store.exists():
        try:
            with home.store.watch() as db:
                seen = _records.changes(db)
                if not _records.any_open(db):
                    return
                run_pass(home)
                due = time.monotonic() + _PASS_S
                while time.monotonic() < due and _records.changes(db) == seen:
                    time.sleep(_LOOK_S)
        except GpuJobsError as e:  # a full disk, a busy file: somebody may mend it
            print(time.strftime("%FT%T"), e, flush=True)  # noqa: T201  # into keeper.log
            time.sleep(_PASS_S)
