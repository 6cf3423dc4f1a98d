"""Before a job may start: its upstream jobs, its deadline, and how long it was to wait at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs.reasons import Cause, Reason
from gpujobs.states import State
from gpujobs_local import _records

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from gpujobs_local._home import Home
    from gpujobs_local._records import Queued


def settle(home: Home, queue: Sequence[Queued], *, now: float) -> list[Queued]:
    """Those of the queue that may start; those that never can are ended here."""
    ready: list[Queued] = []
    for job in queue:
        with home.store.read() as db:
            verdict = _verdict(db, job, now)
        if verdict is True:
            ready.append(job)
        elif isinstance(verdict, Cause):
            _fail_waiting(home, job.id, verdict, now)
    return ready


def _verdict(db: sqlite3.Connection, job: Queued, now: float) -> Cause | bool:
    """True: may start. False: not yet. A Cause: never, and why."""
    row = _records.job(db, job.id)
    if row is None:
        return False
    if row["deadline_at"] is not None and now >= row["deadline_at"]:
        return Cause(Reason.DEADLINE, "Its deadline passed before it could start.", "Give it a later deadline.")
    untouched = not any(t["launch"] for t in db.execute("SELECT launch FROM tasks WHERE job_id = ?", [job.id]))
    if row["start_by"] is not None and now >= row["start_by"] and untouched:
        return Cause(
            Reason.START_TIMEOUT, "It could not start within its start_timeout.", "See capacity, or give it more time."
        )
    for upstream in job.plan.get("after", ()):
        ended, well = upstream_end(db, upstream["id"])
        if not ended:
            return False
        if upstream["when"] == "ok" and not well:
            return Cause(
                Reason.DEPENDENCY,
                f"It was to run after {upstream['id']} ended well, and that did not.",
                "Submit it again once that one has succeeded, or with after='any:...'.",
            )
    return True


def upstream_end(db: sqlite3.Connection, name: str) -> tuple[bool, bool]:
    """(whether an upstream job or element has ended, whether well).

    One that was deleted has ended, and not well: how is not known.
    """
    job_id, _, idx = name.partition("_")
    states = {
        str(row["state"])
        for row in db.execute(
            "SELECT DISTINCT state FROM tasks WHERE job_id = ? AND (? = '' OR idx = ?)", [job_id, idx, idx]
        )
    }
    ended = all(s != _records.STARTING and State(s).final for s in states)
    return ended, states == {State.SUCCEEDED.value}


def waits_for(db: sqlite3.Connection, plan: dict[str, Any]) -> str | None:
    """The first upstream job that has not ended."""
    return next((a["id"] for a in plan.get("after", ()) if not upstream_end(db, a["id"])[0]), None)


def _fail_waiting(home: Home, job_id: int, cause: Cause, now: float) -> None:
    with home.store.write(durable=True) as db:
        for row in db.execute("SELECT * FROM tasks WHERE job_id = ? AND state = 'PENDING'", [job_id]).fetchall():
            _records.end(db, row, State.FAILED, now=now, cause=cause)
