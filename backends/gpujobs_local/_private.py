"""Values of secrets and inherited variables: kept for the owner's eyes from the submission to the job's end."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from gpujobs.errors import SpecError
from gpujobs_local import _records

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from gpujobs_local._home import Home


LONGEST = 131_071
"""Bytes of one variable, its name and ``=`` included: MAX_ARG_STRLEN of execve(2), less its NUL."""


def check(values: Mapping[str, Mapping[str, str]]) -> None:
    """Let through what a process can be given.

    Raises:
        SpecError: A value is too long; it is not repeated.
    """
    for name, value in (pair for table in values.values() for pair in table.items()):
        size = len(f"{name}={value}".encode(errors="surrogateescape"))
        if size > LONGEST:
            raise SpecError(
                f"The value of {name} has {size - len(name) - 1} bytes: more than Linux passes in one variable.",
                next_step='Put it into files={"name": ...} and read "$GPUJOBS_FILES/name".',
            )


def keep(home: Home, job_id: int, values: Mapping[str, Mapping[str, str]]) -> None:
    """Write them down, if there are any."""
    path = home.private(job_id)
    path.unlink(missing_ok=True)  # left by a client that was killed before this id was given out
    if not any(values.values()):
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(values, file)


def read(home: Home, job_id: int) -> dict[str, dict[str, str]]:
    """What was kept; empty where there was nothing."""
    with suppress(FileNotFoundError):
        values: dict[str, dict[str, str]] = json.loads(home.private(job_id).read_text(encoding="utf-8"))
        return values
    return {}


def forget(home: Home) -> None:
    """Remove those of all jobs that have ended, however that came."""
    kept = _kept(home)
    if not kept:
        return
    with home.store.read() as db:
        if not _over(db, kept):
            return
    # Once more, with nobody submitting meanwhile: the file is there a moment before its row.
    with home.store.write() as db:
        for job_id in _over(db, kept):
            home.private(job_id).unlink(missing_ok=True)


def _kept(home: Home) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(n) for e in os.listdir(home.private(0).parent) if (n := e.partition(".")[0]).isdigit()]  # noqa: PTH208
    return []


def _over(db: sqlite3.Connection, job_ids: list[int]) -> list[int]:
    return [job_id for job_id in job_ids if _records.all_ended(db, job_id)]
