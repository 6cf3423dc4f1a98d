"""The supervisor: one process per running task. Holds its GPUs, runs its attempts, writes down how it ended."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpujobs.errors import GpuJobsError
from gpujobs.reasons import Cause, Reason
from gpujobs.states import State
from gpujobs_local import _command, _output, _private, _records
from gpujobs_local._attempt import Attempt, clear
from gpujobs_local._cgroup import Group, leave, prefix, remove_all
from gpujobs_local._events import Signals
from gpujobs_local._flock import unlock
from gpujobs_local._gpus import Device
from gpujobs_local._home import Home
from gpujobs_local._locks import left_in_order, mark_of
from gpujobs_local._outcome import Outcome, judge
from gpujobs_local._output import Which
from gpujobs_local._processes import boot_id
from gpujobs_local._recover import cancelled, remnants
from gpujobs_local._schedule import see_to_pass
from gpujobs_local._spawn import close_strangers, note

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from gpujobs_local._outcome import Ending

_PR_SET_CHILD_SUBREAPER = 36
_AGAIN_S = 0.5


def main() -> None:
    """``_supervisor DIRECTORY TARGET JOB IDX LOCK GPUS FILES...``.

    ``LOCK`` and ``FILES`` are numbers of open files: the task's lock and those of its GPUs. ``GPUS`` names these:
    ``INDEX:UUID:PROFILE``, with commas between.
    """
    directory, target, job_id, idx, lock, held, *files = sys.argv[1:]
    open_files = [int(fd) for fd in files]
    close_strangers([int(lock), *open_files])
    for fd in (int(lock), *open_files):
        os.set_inheritable(fd, False)
    # Orphans of the job come to us instead of to init, so that nothing of it outlives us unseen.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    leave()
    home = Home(Path(directory), target)
    signals = Signals()
    supervisor = _Supervisor(home, int(job_id), int(idx), _devices(held), signals)
    supervisor.run()
    left_in_order(open_files)
    for fd in (*open_files, int(lock)):
        unlock(fd)
    if home.store.exists() and not signals.shutdown:
        see_to_pass(home)


def _devices(held: str) -> list[Device]:
    found: list[Device] = []
    for entry in filter(None, held.split(",")):
        index, uuid, profile = entry.split(":")
        found.append(Device(uuid, int(index), "", profile=profile or None))
    return found


class _Supervisor:
    def __init__(self, home: Home, job_id: int, idx: int, devices: list[Device], signals: Signals) -> None:
        self._home = home
        self._devices = devices
        self._signals = signals
        with home.store.read() as db:
            task, job = _records.task(db, job_id, idx), _records.job(db, job_id)
            store_id = _records.meta(db, "id") or ""
        if task is None or job is None:
            raise SystemExit(f"There is no task {job_id}_{idx}.")
        self._task, self._job = task, job
        self._plan: dict[str, Any] = json.loads(job["plan"])
        self._context: dict[str, Any] = json.loads(job["context"])
        self._mark = mark_of(store_id, job_id, idx)
        self._ref = home.ref(f"{job_id}_{idx}" if job["is_array"] else str(job_id))
        self._workdir = _records.workdir(self._plan, self._context)

    def run(self) -> None:
        """From STARTING to the end of the task."""
        if not self._begin():
            return
        attempt = int(self._task["attempt"])
        retries = int(self._plan.get("retries", 0))
        while (outcome := self._attempt(attempt)).again and attempt < retries:
            if not self._next_attempt():
                outcome = Outcome(State.CANCELLED, cancelled(), outcome.exit_code, outcome.signal)
                break
            attempt += 1
        if self._signals.shutdown and self._plan.get("requeue"):
            self._clear()
            self._insist(self._requeue)
        else:
            self._insist(lambda db: self._end(db, outcome))
            self._clear()

    @property
    def _grace(self) -> float:
        return float(self._plan.get("grace", 30.0))

    def _begin(self) -> bool:
        """Take the task over; False where it was cancelled before."""

        def begin(db: sqlite3.Connection) -> bool:
            now = time.time()
            if _records.to_running(db, self._task, supervisor=os.getpid(), boot=boot_id(), now=now):
                return True
            if self._is_cancelled(db):
                _records.end(db, self._task, State.CANCELLED, now=now, cause=cancelled())
            return False

        return self._insist(begin)

    def _attempt(self, attempt: int) -> Outcome:
        group = Group.create(f"{Path(prefix(self._mark)).name}{attempt}", self._plan.get("memory"))
        if group is None and "memory" in self._plan:
            return _not_limited()
        started = time.monotonic()
        try:
            run = Attempt(
                self._signals, cancelled=self._cancelled, ends=self._ends(started), grace=self._grace, group=group
            )
            seen = run.run(
                _command.words(self._plan, self._home.job(self._job["id"]) / "script"),
                self._environments(attempt),
                self._workdir,
                int(self._context.get("umask", 0o022)),
                _output.paths(
                    self._home, self._plan, self._workdir, Which(self._job["id"], self._task["idx"], attempt)
                ),
            )
            return judge(seen)
        except OSError as e:
            return _output_failed(e)

    def _clear(self) -> None:
        """Leave nothing of an attempt behind."""
        clear(self._grace, self._signals, lambda: remnants(self._mark))
        remove_all(prefix(self._mark))

    def _ends(self, started: float) -> list[tuple[Ending, float, str]]:
        ends: list[tuple[Ending, float, str]] = []
        limit, deadline = self._plan.get("time_limit"), self._job["deadline_at"]
        if limit is not None:
            ends.append(("time-limit", started + limit, f"{limit:g} s"))
        if deadline is not None:
            ends.append(("deadline", started + deadline - time.time(), f"{self._plan['deadline']:g} s"))
        return ends

    def _environments(self, attempt: int) -> list[dict[str, str]]:
        private = _private.read(self._home, self._job["id"])
        shared = _command.environment(self._plan, private, self._devices)
        files = self._home.job(self._job["id"]) / "files"
        return [
            shared
            | _command.identity(
                self._plan,
                ref=self._ref,
                mark=self._mark,
                idx=self._task["idx"],
                attempt=attempt,
                files=files,
                local_rank=rank,
            )
            for rank in range(self._plan.get("tasks_per_node", 1))
        ]

    def _next_attempt(self) -> bool:
        self._clear()
        task = self._task
        return self._insist(lambda db: _records.next_attempt(db, task["job_id"], task["idx"], task["launch"]))

    def _end(self, db: sqlite3.Connection, outcome: Outcome) -> bool:
        return _records.end(
            db,
            self._task,
            outcome.state,
            now=time.time(),
            cause=outcome.cause,
            exit_code=outcome.exit_code,
            signal=outcome.signal,
        )

    def _requeue(self, db: sqlite3.Connection) -> bool:
        task = self._task
        _records.to_pending(db, task["job_id"], task["idx"], task["launch"], next_attempt=True)
        return True

    def _cancelled(self) -> bool:
        try:
            with self._home.store.read() as db:
                return self._is_cancelled(db)
        except GpuJobsError:
            return False  # it is looked up again soon

    def _is_cancelled(self, db: sqlite3.Connection) -> bool:
        row = _records.task(db, self._task["job_id"], self._task["idx"])
        return row is not None and bool(row["cancel"])

    def _insist(self, change: Callable[[sqlite3.Connection], bool]) -> bool:
        """Write it down, however long that takes: on a full disk, until there is room."""
        while True:
            try:
                with self._home.store.write(durable=True) as db:
                    return change(db)
            except GpuJobsError as e:
                if not self._home.store.exists():
                    return False  # removed by its owner: nobody is to be told any more
                note(e)
                time.sleep(_AGAIN_S)


def _not_limited() -> Outcome:
    cause = Cause(
        Reason.LAUNCH_FAILED, "Its memory cannot be limited here: no control group can be made.", "Leave memory out."
    )
    return Outcome(State.FAILED, cause)


def _output_failed(error: OSError) -> Outcome:
    cause = Cause(
        Reason.LAUNCH_FAILED,
        f"Its output file {error.filename} cannot be opened: {error.strerror}.",
        "Check output, error and workdir.",
    )
    return Outcome(State.FAILED, cause)
