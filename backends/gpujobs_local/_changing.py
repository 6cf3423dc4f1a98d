"""Changing what is there: cancel and delete."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gpujobs.errors import GpuJobsError, RejectedError
from gpujobs.states import State
from gpujobs_local import _records
from gpujobs_local._events import CANCEL
from gpujobs_local._locks import mark_of
from gpujobs_local._looking import find, not_found
from gpujobs_local._processes import SUPERVISOR, environment
from gpujobs_local._recover import cancelled
from gpujobs_local._status import state_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from gpujobs.refs import Ref
    from gpujobs_local._home import Home
    from gpujobs_local._looking import Found


def cancel(home: Home, refs: Sequence[Ref]) -> list[GpuJobsError | None]:
    """End what waits at once, tell the supervisors of what runs; one entry per ref."""
    if not home.store.exists():
        return [not_found(ref) for ref in refs]
    running: list[sqlite3.Row] = []
    with home.store.write(durable=True) as db:
        found = find(db, [ref.id for ref in refs])
        store_id = _records.meta(db, "id") or ""
        for entry in found.values():
            running += _cancel_tasks(db, entry)
    for task in running:
        _tell(task["supervisor"], mark_of(store_id, task["job_id"], task["idx"]))
    return [None if ref.id in found else not_found(ref) for ref in refs]


def _cancel_tasks(db: sqlite3.Connection, entry: Found) -> list[sqlite3.Row]:
    """Note it in every open task; those that run are returned."""
    running: list[sqlite3.Row] = []
    for task in entry.tasks:
        if state_of(task).final:
            continue
        db.execute("UPDATE tasks SET cancel = 1 WHERE job_id = ? AND idx = ?", [task["job_id"], task["idx"]])
        if task["state"] == "PENDING":
            _records.end(db, task, State.CANCELLED, now=time.time(), cause=cancelled())
        else:
            running.append(task)
    return running


def _tell(supervisor: int | None, mark: str) -> None:
    """Wake a supervisor to look at its row; one that is just starting looks by itself."""
    # The pid may be another process's by now: only a process that says it is this supervisor is told.
    if supervisor is not None and environment(supervisor).get(SUPERVISOR.encode()) == mark.encode():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(supervisor, CANCEL)


def delete(home: Home, refs: Sequence[Ref]) -> list[GpuJobsError | None]:
    """Forget what has ended, files and logs included; one entry per ref."""
    if not home.store.exists():
        return [not_found(ref) for ref in refs]
    errors: list[GpuJobsError | None] = []
    gone: list[int] = []
    with home.store.write(durable=True) as db:
        found = find(db, [ref.id for ref in refs])
        for ref in refs:
            error = _refusal(ref, found.get(ref.id))
            errors.append(error)
            if error is None:
                job_id = int(found[ref.id].job["id"])
                db.execute("DELETE FROM jobs WHERE id = ?", [job_id])
                gone.append(job_id)
    for job_id in gone:
        shutil.rmtree(home.job(job_id), ignore_errors=True)
    return errors


def _refusal(ref: Ref, found: Found | None) -> GpuJobsError | None:
    if found is None:
        return not_found(ref)
    if "_" in ref.id:
        whole = ref.id.partition("_")[0]
        return RejectedError(f"{ref} is an element of an array.", next_step=f"Delete the whole array, {whole}.")
    if not all(state_of(task).final for task in found.tasks):
        return RejectedError(f"{ref} has not ended.", next_step="Cancel it first, or wait for it.")
    return None
