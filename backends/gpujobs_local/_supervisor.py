"""The supervisor: one process per running task. Holds its GPUs, runs its attempts, writes down how it ended."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpujobs.errors import GpuJobsError
from gpujobs.states import State
from gpujobs_local import _command, _output, _records
from gpujobs_local._attempt import Attempt, clear
from gpujobs_local._cgroup import Group
from gpujobs_local._events import Signals
from gpujobs_local._gpus import Device
from gpujobs_local._home import Home
from gpujobs_local._locks import left_in_order
from gpujobs_local._outcome import Outcome, judge
from gpujobs_local._output import Which
from gpujobs_local._processes import boot_id
from gpujobs_local._recover import cancelled
from gpujobs_local._schedule import run_pass

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from gpujobs_local._outcome import Ending

_PR_SET_CHILD_SUBREAPER = 36
_AGAIN_S = 0.5


def main() -> None:
    """``_supervisor DIRECTORY TARGET JOB IDX LAUNCH LOCK GPUS FILES...``.

    ``LOCK`` and ``FILES`` are numbers of open files: the task's lock and those of its GPUs. ``GPUS`` names these:
    ``INDEX:UUID:PROFILE``, with commas between.
    """
    directory, target, job_id, idx, _launch, lock, held, *files = sys.argv[1:]
    open_files = [int(fd) for fd in files]
    for fd in (int(lock), *open_files):
        os.set_inheritable(fd, False)
    # Orphans of the job come to us instead of to init, so that nothing of it outlives us unseen.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    home = Home(Path(directory), target)
    signals = Signals()
    supervisor = _Supervisor(home, int(job_id), int(idx), _devices(held), signals)
    supervisor.run()
    left_in_order(open_files)
    for fd in open_files:
        os.close(fd)
    os.close(int(lock))
    run_pass(home)


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
            store_id = _records.meta(db, "id")
        if task is None or job is None:
            raise SystemExit(f"There is no task {job_id}_{idx}.")
        self._task, self._job = task, job
        self._plan: dict[str, Any] = json.loads(job["plan"])
        self._context: dict[str, Any] = json.loads(job["context"])
        self._mark = f"{store_id}/{job_id}_{idx}"
        self._ref = home.ref(f"{job_id}_{idx}" if job["is_array"] else str(job_id))
        self._workdir = _records.workdir(self._plan, self._context)

    def run(self) -> None:
        """From STARTING to the end of the task."""
        if not self._begin():
            return
        attempt = int(self._task["attempt"])
        left = int(self._plan.get("retries", 0)) - attempt
        while True:
            outcome = self._attempt(attempt)
            if not (outcome.again and left > 0 and self._next_attempt()):
                break
            attempt, left = attempt + 1, left - 1
        self._insist(lambda db: self._end(db, outcome))
        clear(self._grace, self._signals)
        self._forget_private()

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
        group = self._group(attempt)
        started = time.monotonic()
        Which(self._job["id"], self._task["idx"], attempt)
        try:
            run = Attempt(
                self._signals, cancelled=self._cancelled, ends=self._ends(started), grace=self._grace, group=group
            )
            seen = run.run(
                _command.words(self._plan, self._home.job(self._job["id"]) / "script"),
                self._environments(attempt),
                self._workdir,
                int(self._context.get("umask", 0o022)),
                _output.files(
                    self._home, self._plan, self._workdir, Which(self._job["id"], self._task["idx"], attempt)
                ),
            )
            return judge(seen)
        except OSError as e:
            return _output_failed(e)
        finally:
            if group is not None:
                group.remove()

    def _group(self, attempt: int) -> Group | None:
        name = f"{self._mark.replace('/', '-')}-{attempt}"
        return Group.create(name, self._plan.get("memory"))

    def _ends(self, started: float) -> list[tuple[Ending, float, str]]:
        ends: list[tuple[Ending, float, str]] = []
        limit, deadline = self._plan.get("time_limit"), self._job["deadline_at"]
        if limit is not None:
            ends.append(("time-limit", started + limit, f"{limit:g} s"))
        if deadline is not None:
            ends.append(("deadline", started + deadline - time.time(), f"{self._plan['deadline']:g} s"))
        return ends

    def _environments(self, attempt: int) -> list[dict[str, str]]:
        private: dict[str, dict[str, str]] = {}
        with suppress(FileNotFoundError):
            private = json.loads(self._home.private(self._job["id"]).read_text())
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
        clear(self._grace, self._signals)
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
                    raise SystemExit(f"The record file is gone: {e}") from e
                print(time.strftime("%FT%T"), e, flush=True)  # noqa: T201  # into supervisor.log
                time.sleep(_AGAIN_S)

    def _forget_private(self) -> None:
        with suppress(GpuJobsError), self._home.store.read() as db:
            if _records.all_ended(db, self._job["id"]):
                self._home.private(self._job["id"]).unlink(missing_ok=True)


def _output_failed(error: OSError) -> Outcome:
    from gpujobs.reasons import Cause, Reason  # noqa: PLC0415  # only here

    cause = Cause(
        Reason.LAUNCH_FAILED,
        f"Its output file {error.filename} cannot be opened: {error.strerror}.",
        "Check output, error and workdir.",
    )
    return Outcome(State.FAILED, cause)
