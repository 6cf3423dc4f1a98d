"""Reading the records: statuses in bulk, lists, log files, changes."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpujobs.errors import NotFoundError, UnavailableError
from gpujobs.states import State, Status
from gpujobs_local import _explain, _machine, _output, _records, _status
from gpujobs_local._flock import is_locked
from gpujobs_local._output import Which

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from gpujobs.backend import JobQuery
    from gpujobs.logfiles import LogFile
    from gpujobs.refs import Ref
    from gpujobs.results import ReplicaStatus
    from gpujobs_local._home import Home
    from gpujobs_local._settings import Settings

_ID = re.compile(r"([1-9][0-9]{0,17})(?:_([0-9]{1,9}))?")
_LOOK_S = 0.02
"""Between two looks at the change counter while somebody waits: one read of some twenty microseconds."""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A job, and its tasks that a ref means."""

    job: sqlite3.Row
    tasks: list[sqlite3.Row]


class Reader:
    """Reads the records of one target."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        self._settings = settings
        self._node = _machine.name()

    def statuses(self, refs: Sequence[Ref]) -> list[Status]:
        """The status of each, in order."""
        if not self._home.store.exists():
            return [_status.unknown(ref) for ref in refs]
        with self._home.store.read() as db:
            waits = _explain.Waits(self._home, self._settings, db)
            found = find(db, [ref.id for ref in refs])
            return [self._status(ref, found.get(ref.id), waits) for ref in refs]

    def _status(self, ref: Ref, found: Found | None, waits: _explain.Waits) -> Status:
        if found is None:
            return _status.unknown(ref)
        return _status.status(ref, found.job, found.tasks, self._node, waits.cause)

    def jobs(self, query: JobQuery, make_ref: Any) -> list[Status]:
        """The jobs that a query asks for, newest first."""
        if not self._home.store.exists():
            return []
        with self._home.store.read() as db:
            ids = [str(i) for i in _matching(db, query)]
        found: list[Status] = []
        for start in range(0, len(ids), _CHUNK):
            statuses = self.statuses([make_ref(i) for i in ids[start : start + _CHUNK]])
            found += [s for s in statuses if not query.states or s.state in query.states]
            if query.limit is not None and len(found) >= query.limit:
                break
        return found[: query.limit]

    def replicas(self, ref: Ref) -> list[ReplicaStatus]:
        """One entry per task that the ref means."""
        with self._home.store.read() as db:
            found = one(db, ref)
        array = found.job["is_array"]
        return [
            _status.replica(t, f"{t['job_id']}_{t['idx']}" if array else str(t["job_id"]), self._node)
            for t in found.tasks
        ]

    def copies(self, ref: Ref, replica: int | None) -> int:
        """How many copies that means: the one, or all that there are.

        Raises:
            NotFoundError: There is no such workload, or it has no such copy.
        """
        with self._home.store.read() as db:
            there = [int(task["idx"]) for task in one(db, ref).tasks]
        if replica is not None and replica not in there:
            only = f"{there[0]} to {there[-1]}" if len(there) > 1 else f"only {there[0]}"
            raise NotFoundError(f"{ref} has no replica {replica}.", next_step=f"It has {only}.")
        return 1 if replica is not None else len(there)

    def log_files(self, ref: Ref) -> list[LogFile]:
        """The files of every attempt of every task that the ref means and that was started."""
        with self._home.store.read() as db:
            found = one(db, ref)
        plan, context = json.loads(found.job["plan"]), json.loads(found.job["context"])
        workdir = _records.workdir(plan, context)
        files: list[LogFile] = []
        for task in found.tasks:
            if task["launch"] == 0:
                continue
            for attempt in range(int(task["attempt"]) + 1):
                pair = _output.files(self._home, plan, workdir, Which(task["job_id"], task["idx"], attempt))
                files += [f for f in pair if f is not None]
        return files

    def dead(self, refs: Iterable[Ref]) -> bool:
        """Whether the supervisor of one of these is gone although its task has not ended."""
        with self._home.store.read() as db:
            found = find(db, [ref.id for ref in refs])
        return any(
            task["state"] in {"RUNNING", _records.STARTING}
            and not is_locked(self._home.task(task["job_id"], task["idx"]) / "lock")
            for entry in found.values()
            for task in entry.tasks
        )

    def wait_change(self, refs: Sequence[Ref], timeout: float) -> bool:
        """Whether one of these has ended, or changed within ``timeout`` seconds."""
        if not self._home.store.exists():
            return True
        deadline = time.monotonic() + timeout
        try:
            return self._wait_change(refs, deadline)
        except UnavailableError:
            time.sleep(max(0.0, deadline - time.monotonic()))
            return False

    def _wait_change(self, refs: Sequence[Ref], deadline: float) -> bool:
        ids = sorted({int(m[1]) for ref in refs if (m := _ID.fullmatch(ref.id))})
        with self._home.store.watch() as db:
            seen, first = _records.changes(db), _signature(db, ids)
            if any(final for _, final in first):
                return True
            while (left := deadline - time.monotonic()) > 0:
                time.sleep(min(left, _LOOK_S))
                now = _records.changes(db)
                if now != seen and _signature(db, ids) != first:
                    return True
                seen = now
        return False


def find(db: sqlite3.Connection, names: Sequence[str]) -> dict[str, Found]:
    """The job and tasks of each id (``17``, ``17_3``) that there is, in a constant number of questions."""
    wanted = {name: m for name in names if (m := _ID.fullmatch(name))}
    ids = sorted({int(m[1]) for m in wanted.values()})
    jobs: dict[int, sqlite3.Row] = {}
    tasks: dict[int, list[sqlite3.Row]] = {}
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        marks = ",".join("?" * len(part))
        for row in db.execute(f"SELECT * FROM jobs WHERE id IN ({marks})", part):  # noqa: S608  # only marks
            jobs[row["id"]] = row
        query = f"SELECT * FROM tasks WHERE job_id IN ({marks}) ORDER BY job_id, idx"  # noqa: S608
        for row in db.execute(query, part):
            tasks.setdefault(row["job_id"], []).append(row)
    found: dict[str, Found] = {}
    for name, match in wanted.items():
        job = jobs.get(int(match[1]))
        if job is None:
            continue
        own = tasks[job["id"]]
        if match[2] is None:
            found[name] = Found(job, own)
        elif job["is_array"] and int(match[2]) < len(own):
            found[name] = Found(job, [own[int(match[2])]])
    return found


def one(db: sqlite3.Connection, ref: Ref) -> Found:
    """The job and tasks of one ref.

    Raises:
        NotFoundError: There is no such job or element.
    """
    found = find(db, [ref.id]).get(ref.id)
    if found is None:
        raise not_found(ref)
    return found


def not_found(ref: Ref) -> NotFoundError:
    """The error about a ref that is not in the records."""
    return NotFoundError(f"There is no {ref}.", next_step="`gpujobs ps --all` shows what there is.")


def _matching(db: sqlite3.Connection, query: JobQuery) -> list[int]:
    where, values = ["1"], list[Any]()
    if not query.finished:
        where.append("id IN (SELECT DISTINCT job_id FROM tasks WHERE state IN ('PENDING','STARTING','RUNNING'))")
    if query.name is not None:
        where.append("name = ?")
        values.append(query.name)
    rows = db.execute(f"SELECT id, labels FROM jobs WHERE {' AND '.join(where)} ORDER BY id DESC", values)  # noqa: S608
    wanted = dict(query.labels)
    return [int(r["id"]) for r in rows if not wanted or wanted.items() <= json.loads(r["labels"]).items()]


def _signature(db: sqlite3.Connection, ids: Sequence[int]) -> list[tuple[Any, bool]]:
    """What a change of any of these jobs changes: (counts of states, whether all have ended), job by job."""
    found: list[tuple[Any, bool]] = []
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        query = (
            "SELECT job_id, group_concat(state || n || a) s, min(final) f FROM (SELECT job_id, state, count(*) n,"  # noqa: S608
            " sum(attempt) a, state IN ('SUCCEEDED','FAILED','CANCELLED','LOST') final FROM tasks"
            f" WHERE job_id IN ({','.join('?' * len(part))}) GROUP BY job_id, state ORDER BY job_id, state)"
            " GROUP BY job_id"
        )
        rows = db.execute(query, part)
        found += [((r["job_id"], r["s"]), bool(r["f"])) for r in rows]
    return found


def is_open(status: Status) -> bool:
    """Whether a pass could bring it on."""
    return not status.final and status.state is not State.UNKNOWN
