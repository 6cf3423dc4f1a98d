"""What the record file says and how it may change: every transition names the state it starts from.

A task is one element of an array, or the whole of a plain job. Only its supervisor, known by its ``launch`` number,
moves it out of STARTING and RUNNING; nothing moves it out of a final state.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpujobs_local._match import Demand

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from gpujobs.reasons import Cause
    from gpujobs.states import State

STARTING = "STARTING"
"""A supervisor was started and has not yet started the command; PENDING to everybody else."""

_FINAL = "('SUCCEEDED','FAILED','CANCELLED','LOST')"


@dataclass(frozen=True, slots=True)
class Queued:
    """A job with tasks that wait, as the queue sees it."""

    id: int
    demand: Demand
    cpus: float
    memory: int
    active: int
    """How many of its tasks have a supervisor."""
    parallelism: int | None
    is_array: bool
    deadline_at: float | None
    start_by: float | None
    after: Sequence[Mapping[str, Any]] = ()
    wants: str | None = None
    """All that it asks for, as it is written down: what is the same text waits for the same."""

    def name_of(self, idx: int) -> str:
        """The id of one of its tasks, as refs have it."""
        return f"{self.id}_{idx}" if self.is_array else str(self.id)


def workdir(plan: Mapping[str, Any], context: Mapping[str, Any]) -> Path:
    """Where a job runs: its ``workdir``, seen from where it was submitted."""
    # That of Path raises where ~ names nobody.
    return Path(context["cwd"], os.path.expanduser(plan.get("workdir", ".")))  # noqa: PTH111


def changes(db: sqlite3.Connection) -> int:
    """The counter that every change of a state raises."""
    return int(db.execute("SELECT value FROM meta WHERE name = 'changes'").fetchone()[0])


def meta(db: sqlite3.Connection, name: str) -> str | None:
    """One value kept for the whole target."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchone()
    return None if row is None else str(row[0])


def set_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """Keep one value for the whole target."""
    if meta(db, name) != value:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [name, value])


def by_key(db: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    """The job of a key."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM jobs WHERE key = ?", [key]).fetchone()
    return row


def job(db: sqlite3.Connection, job_id: int) -> sqlite3.Row | None:
    """One job."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM jobs WHERE id = ?", [job_id]).fetchone()
    return row


def task(db: sqlite3.Connection, job_id: int, idx: int) -> sqlite3.Row | None:
    """One task."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM tasks WHERE job_id = ? AND idx = ?", [job_id, idx]).fetchone()
    return row


def insert(
    db: sqlite3.Connection, plan: dict[str, Any], text: str, *, spec_hash: str, context: dict[str, Any], now: float
) -> int:
    """A new job with all its tasks waiting; its id."""
    size = plan.get("array")
    deadline, start_timeout = plan.get("deadline"), plan.get("start_timeout")
    cursor = db.execute(
        "INSERT INTO jobs (key, spec_hash, name, labels, plan, wants, context, size, is_array, parallelism, priority,"
        " submitted_at, deadline_at, start_by) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            plan["key"],
            spec_hash,
            plan.get("name", ""),
            json.dumps(plan.get("labels", {})),
            text,
            _wants(plan, context),
            json.dumps(context),
            size or 1,
            size is not None,
            plan.get("parallelism"),
            plan.get("priority", 0),
            now,
            None if deadline is None else now + deadline,
            None if start_timeout is None else now + start_timeout,
        ],
    )
    job_id = int(cursor.lastrowid or 0)
    db.executemany("INSERT INTO tasks (job_id, idx) VALUES (?, ?)", ((job_id, i) for i in range(size or 1)))
    return job_id


def queued(db: sqlite3.Connection) -> Iterator[Queued]:
    """The jobs with waiting tasks: higher priority first, then first come first served."""
    rows = db.execute(
        "SELECT id, wants, parallelism, is_array, deadline_at, start_by,"
        " (SELECT count(*) FROM tasks t WHERE t.job_id = j.id AND t.state IN ('STARTING','RUNNING')) active"
        " FROM jobs j WHERE j.id IN (SELECT DISTINCT job_id FROM tasks WHERE state = 'PENDING')"
        " ORDER BY j.priority DESC, j.id"
    ).fetchall()
    known: dict[str, tuple[Any, ...]] = {}
    for number, text, parallelism, is_array, deadline_at, start_by, active in rows:
        if text not in known:
            wants = json.loads(text)
            demand = Demand.from_dict(wants["gpus"])
            known[text] = (demand, wants["cpus"], wants["memory"], wants["after"])
        demand, cpus, memory, after = known[text]
        times = (deadline_at, start_by)
        yield Queued(number, demand, cpus, memory, active, parallelism, bool(is_array), *times, after, text)


def _wants(plan: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    return json.dumps(
        {
            "gpus": {**plan.get("gpus", {}), "visible": context.get("visible")},
            "cpus": plan.get("cpus", 0.0),
            "memory": plan.get("memory", 0),
            "after": plan.get("after", []),
        }
    )


def waiting(db: sqlite3.Connection, job_id: int) -> list[int]:
    """The numbers of the waiting tasks of a job, lowest first."""
    rows = db.execute("SELECT idx FROM tasks WHERE job_id = ? AND state = 'PENDING' ORDER BY idx", [job_id])
    return [int(row["idx"]) for row in rows]


def supervised(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """The tasks that have, or had, a supervisor and no end; with their jobs' plans."""
    rows: list[sqlite3.Row] = db.execute(
        "SELECT t.*, j.plan, j.is_array FROM tasks t JOIN jobs j ON j.id = t.job_id"
        " WHERE t.state IN ('STARTING','RUNNING') ORDER BY t.job_id, t.idx"
    ).fetchall()
    return rows


def any_open(db: sqlite3.Connection) -> bool:
    """Whether something waits, or is being ended without a supervisor: whether somebody must look again."""
    row = db.execute(
        "SELECT EXISTS (SELECT 1 FROM tasks WHERE state = 'PENDING')"
        " OR EXISTS (SELECT 1 FROM tasks WHERE state = 'RUNNING' AND orphaned_at IS NOT NULL)"
    ).fetchone()
    return bool(row[0])


def next_limit(db: sqlite3.Connection, now: float) -> float:
    """When the next deadline or start_timeout of a waiting job passes; infinity where there is none."""
    row = db.execute(
        "WITH waiting AS (SELECT * FROM jobs WHERE id IN (SELECT job_id FROM tasks WHERE state = 'PENDING'))"
        " SELECT min(at) FROM (SELECT deadline_at at FROM waiting UNION ALL SELECT start_by FROM waiting) WHERE at > ?",
        [now],
    ).fetchone()
    return float("inf") if row[0] is None else float(row[0])


def to_starting(db: sqlite3.Connection, job_id: int, idx: int, gpus: list[str]) -> bool:
    """PENDING to STARTING, for one more launch; False where it waits no more."""
    changed = db.execute(
        "UPDATE tasks SET state = 'STARTING', launch = launch + 1, gpus = ?, supervisor = NULL"
        " WHERE job_id = ? AND idx = ? AND state = 'PENDING' AND cancel = 0",
        [json.dumps(gpus), job_id, idx],
    ).rowcount
    return bool(changed)


def to_pending(db: sqlite3.Connection, job_id: int, idx: int, launch: int, *, next_attempt: bool = False) -> None:
    """Back to the queue: a launch that never started its command, or an attempt that the machine took down."""
    db.execute(
        "UPDATE tasks SET state = 'PENDING', attempt = attempt + ?, supervisor = NULL, orphaned_at = NULL,"
        " started_at = CASE WHEN ? THEN started_at END, gpus = '[]'"
        " WHERE job_id = ? AND idx = ? AND launch = ? AND state IN ('STARTING','RUNNING')",
        [int(next_attempt), int(next_attempt), job_id, idx, launch],
    )


def to_running(db: sqlite3.Connection, row: sqlite3.Row, *, supervisor: int, boot: str, now: float) -> bool:
    """STARTING to RUNNING by its supervisor; False where it was cancelled or taken away meanwhile."""
    return bool(
        db.execute(
            "UPDATE tasks SET state = 'RUNNING', supervisor = ?, boot = ?, started_at = coalesce(started_at, ?)"
            " WHERE job_id = ? AND idx = ? AND launch = ? AND state = 'STARTING' AND cancel = 0",
            [supervisor, boot, now, row["job_id"], row["idx"], row["launch"]],
        ).rowcount
    )


def next_attempt(db: sqlite3.Connection, job_id: int, idx: int, launch: int) -> bool:
    """One more attempt of a running task by its supervisor; False where it was cancelled meanwhile."""
    return bool(
        db.execute(
            "UPDATE tasks SET attempt = attempt + 1"
            " WHERE job_id = ? AND idx = ? AND launch = ? AND state = 'RUNNING' AND cancel = 0",
            [job_id, idx, launch],
        ).rowcount
    )


def orphaned(db: sqlite3.Connection, job_id: int, idx: int, now: float) -> None:
    """Note since when the processes of a dead supervisor are being ended."""
    db.execute("UPDATE tasks SET orphaned_at = ? WHERE job_id = ? AND idx = ?", [now, job_id, idx])


def end(
    db: sqlite3.Connection,
    row: sqlite3.Row,
    state: State,
    *,
    now: float,
    cause: Cause | None = None,
    exit_code: int | None = None,
    signal: int | None = None,
) -> bool:
    """To a final state, unless it has one or belongs to a later launch; whether that was done."""
    code, message, step = (cause.code.value, cause.message, cause.next) if cause else (None, "", "")
    what = [state.value, now, exit_code, signal, code, message, step]
    query = (
        "UPDATE tasks SET state = ?, ended_at = ?, exit_code = ?, signal = ?, reason = ?, message = ?, next = ?,"  # noqa: S608
        f" supervisor = NULL WHERE job_id = ? AND idx = ? AND launch = ? AND state NOT IN {_FINAL}"
    )
    return bool(db.execute(query, [*what, row["job_id"], row["idx"], row["launch"]]).rowcount)


def all_ended(db: sqlite3.Connection, job_id: int) -> bool:
    """Whether every task of a job has ended."""
    row = db.execute(
        f"SELECT NOT EXISTS (SELECT 1 FROM tasks WHERE job_id = ? AND state NOT IN {_FINAL})",  # noqa: S608
        [job_id],
    ).fetchone()
    return bool(row[0])
