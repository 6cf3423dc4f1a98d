"""Mending what killed supervisors and reboots leave: no task stays open for ever, none ends with an untrue state."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

from gpujobs.reasons import Cause, Reason
from gpujobs.states import State
from gpujobs_local import _records
from gpujobs_local._cgroup import members, prefix, remove_all
from gpujobs_local._flock import is_locked
from gpujobs_local._locks import MARK, Holder, mark_of
from gpujobs_local._processes import Process, boot_id, carrying, send

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from gpujobs_local._home import Home

MOST_LAUNCHES = 3
"""After so many supervisors in a row that ended before they started the command, the task has failed."""


def plan_of(row: sqlite3.Row) -> dict[str, Any]:
    """The plan of the job that a task belongs to."""
    plan: dict[str, Any] = json.loads(row["plan"])
    return plan


def recover(home: Home, store_id: str) -> None:
    """Settle every task whose supervisor is gone. Only inside a pass: nobody else starts supervisors meanwhile."""
    with home.store.read() as db:
        rows = _records.supervised(db)
    for row in rows:
        if not is_locked(home.task(row["job_id"], row["idx"]) / "lock"):
            _recover_task(home, row, mark_of(store_id, row["job_id"], row["idx"]))


def _recover_task(home: Home, seen: sqlite3.Row, mark: str) -> None:
    now = time.time()
    processes = remnants(mark)
    if not processes:
        remove_all(prefix(mark))
    with home.store.write(durable=True) as db:
        row = _records.task(db, seen["job_id"], seen["idx"])
        if row is None or (row["state"], row["launch"]) != (seen["state"], seen["launch"]):
            return  # it ended in good order between the two looks
        if row["state"] == _records.STARTING:
            _never_ran(db, row, now)
        elif row["boot"] != boot_id():
            cause = Cause(Reason.NODE_FAIL, "The machine was restarted while it ran.", "Submit it again.")
            _took_down(db, row, plan_of(seen), (State.FAILED, cause), now)
        elif processes:
            if row["orphaned_at"] is None:
                _records.orphaned(db, row["job_id"], row["idx"], now)
            over = now - (row["orphaned_at"] or now) >= plan_of(seen).get("grace", 30.0)
            send(processes, signal.SIGKILL if over else signal.SIGTERM)
        elif row["orphaned_at"] is not None:
            cause = Cause(
                Reason.NODE_FAIL,
                "Its supervisor was killed while it ran, so its processes were ended.",
                "Submit it again; do not kill processes named gpujobs_local.",
            )
            _took_down(db, row, plan_of(seen), (State.FAILED, cause), now)
        else:
            cause = Cause(
                Reason.LOST,
                "Its supervisor was killed, so it is not known how its command ended.",
                "Look at its log and what it wrote, and submit it again if need be.",
            )
            _took_down(db, row, plan_of(seen), (State.LOST, cause), now)


def _never_ran(db: sqlite3.Connection, row: sqlite3.Row, now: float) -> None:
    if row["cancel"]:
        _records.end(db, row, State.CANCELLED, now=now, cause=cancelled())
    elif row["launch"] % MOST_LAUNCHES == 0:
        cause = Cause(
            Reason.LAUNCH_FAILED,
            f"Its supervisor ended {MOST_LAUNCHES} times before it could start the command.",
            "See supervisor.log in the job's directory.",
        )
        _records.end(db, row, State.FAILED, now=now, cause=cause)
    else:
        _records.to_pending(db, row["job_id"], row["idx"], row["launch"])


def _took_down(
    db: sqlite3.Connection, row: sqlite3.Row, plan: dict[str, Any], verdict: tuple[State, Cause], now: float
) -> None:
    if row["cancel"]:
        _records.end(db, row, State.CANCELLED, now=now, cause=cancelled())
    elif plan.get("requeue"):
        _records.to_pending(db, row["job_id"], row["idx"], row["launch"], next_attempt=True)
    else:
        _records.end(db, row, verdict[0], now=now, cause=verdict[1])


def remnants(mark: str) -> list[Process]:
    """What lives of a task, but for its supervisor."""
    return carrying([(MARK, mark)], members(prefix(mark)))


def cancelled() -> Cause:
    """Why a cancelled task is in its state."""
    return Cause(Reason.CANCELLED, "It was cancelled.")


def end_left_behind(home: Home, store_id: str, holders: Iterable[Holder]) -> None:
    """End the processes of our own tasks that have ended, where they keep GPUs from the next job.

    Only a supervisor that was killed after the end of its task leaves such; those of other users are not ours to end.
    """
    for holder in holders:
        store, _, name = holder.mark.partition("/")
        job_id, _, idx = name.partition("_")
        if store != store_id or is_locked(home.task(int(job_id), int(idx)) / "lock"):
            continue
        with home.store.read() as db:
            row = _records.task(db, int(job_id), int(idx))
        if row is None or (row["state"] != _records.STARTING and State(row["state"]).final):
            send(remnants(holder.mark), signal.SIGKILL)
