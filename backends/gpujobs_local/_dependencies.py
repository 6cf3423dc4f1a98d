"""Before a job may start: its upstream jobs, its deadline, and how long it was to wait at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs.reasons import Cause, Reason
from gpujobs.states import State
from gpujobs_local import _records

if TYPE_CHECKING:
    import sqlite3

    from gpujobs_local._home import Home
    from gpujobs_local._records import Queued


def verdict(db: sqlite3.Connection, job: Queued, now: float) -> Cause | bool:
    """True: may start. False: not yet. A Cause: never, and why."""
    if job.deadline_at is not None and now >= job.deadline_at:
        return Cause(Reason.DEADLINE, "Its deadline passed before it could start.", "Give it a later deadline.")
    if job.start_by is not None and now >= job.start_by and not _touched(db, job.id):
        return Cause(
            Reason.START_TIMEOUT, "It could not start within its start_timeout.", "See capacity, or give it more time."
        )
    for upstream in job.after:
        ended, well = upstream_end(db, upstream["id"])
        if not ended:
            return False
        if upstream["when"] == "ok" and not well:
            what = "that did not" if well is False else "that was deleted, so it is not known whether it did"
            return Cause(
                Reason.DEPENDENCY,
                f"It was to run after {upstream['id']} ended well, and {what}.",
                "Submit it again once that one has succeeded, or with after='any:...'.",
            )
    return True


def _touched(db: sqlite3.Connection, job_id: int) -> bool:
    """Whether any element of a job was ever started: then the job did start in time."""
    row = db.execute("SELECT EXISTS (SELECT 1 FROM tasks WHERE job_id = ? AND launch > 0)", [job_id]).fetchone()
    return bool(row[0])


def upstream_end(db: sqlite3.Connection, name: str) -> tuple[bool, bool | None]:
    """(whether an upstream job or element has ended, whether well).

    One that was deleted has ended; how is not known: None.
    """
    job_id, _, idx = name.partition("_")
    states = {
        str(row["state"])
        for row in db.execute(
            "SELECT DISTINCT state FROM tasks WHERE job_id = ? AND (? = '' OR idx = ?)", [job_id, idx, idx]
        )
    }
    ended = all(s != _records.STARTING and State(s).final for s in states)
    return ended, states == {State.SUCCEEDED.value} if states else None


def waits_for(db: sqlite3.Connection, plan: dict[str, Any]) -> str | None:
    """The first upstream job that has not ended."""
    return next((a["id"] for a in plan.get("after", ()) if not upstream_end(db, a["id"])[0]), None)


def fail_waiting(home: Home, job_id: int, cause: Cause, now: float) -> None:
    """End what waits of a job: it can never start."""
    with home.store.write(durable=True) as db:
        for row in db.execute("SELECT * FROM tasks WHERE job_id = ? AND state = 'PENDING'", [job_id]).fetchall():
            _records.end(db, row, State.FAILED, now=now, cause=cause)
