"""The scheduler: whoever submits, ends or looks runs one pass of it; there is no server.

A pass mends what killed processes left, settles what cannot start any more, and starts what can. It is safe to be
killed at any point: a task becomes STARTING before its supervisor exists, but its lock is held from before that until
the supervisor's end, so a STARTING task whose lock is free never ran and goes back to the queue.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpujobs.reasons import Cause
from gpujobs_local import _dependencies, _records, _recover
from gpujobs_local._gpus import computing_on
from gpujobs_local._locks import Hold, Holder, Locks
from gpujobs_local._machine import locks as open_locks
from gpujobs_local._machine import machine as look_at_machine
from gpujobs_local._machine import most_running
from gpujobs_local._queue import Turn
from gpujobs_local._settings import Settings
from gpujobs_local._spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from gpujobs_local._gpus import Device
    from gpujobs_local._home import Home
    from gpujobs_local._match import Machine
    from gpujobs_local._records import Queued


def run_pass(home: Home) -> None:
    """One pass, and a keeper where something is still to be looked after. Blocks while another pass runs."""
    with _locked(home.directory / "schedule.lock"):
        _Pass(home).run()
    ensure_keeper(home)


def ensure_keeper(home: Home) -> None:
    """See to it that somebody looks again while something waits."""
    with home.store.read() as db:
        if not _records.any_open(db):
            return
    fd = try_lock(home.directory / "keeper.lock")
    if fd is None:
        return
    try:
        log = home.directory / "keeper.log"
        spawn("_keeper", [str(home.directory), home.target, str(fd)], mark="keeper", pass_fds=[fd], log=log)
    finally:
        os.close(fd)


class _Pass:
    def __init__(self, home: Home) -> None:
        self._home = home
        with home.store.read() as db:
            self._settings = Settings.load(_records.meta(db, "settings") or "{}")
            self._store_id = _records.meta(db, "id") or ""

    def run(self) -> None:
        _recover.recover(self._home, self._store_id)
        now = time.time()
        with self._home.store.read() as db:
            queue = [(job, _dependencies.verdict(db, job, now)) for job in _records.queued(db)]
            busy = _records.supervised(db)
        for job, verdict in queue:
            if isinstance(verdict, Cause):
                _dependencies.fail_waiting(self._home, job.id, verdict, now)
        ready = [job for job, verdict in queue if verdict is True]
        if not ready:
            return
        machine = look_at_machine(self._home, self._settings, gpus=any(job.demand.count for job in ready))
        used = [_recover.plan_of(row) for row in busy]
        turn = Turn(
            machine,
            cpus=machine.cpus - sum(p.get("cpus", 0.0) for p in used),
            memory=machine.memory - sum(p.get("memory", 0) for p in used),
            slots=most_running() - len(busy),
        )
        locks = open_locks(self._home, self._settings)
        for job in ready:
            self._start_tasks(job, turn, locks, machine)
        _recover.end_left_behind(self._home, self._store_id, locks.left_behind)

    def _start_tasks(self, job: Queued, turn: Turn, locks: Locks, machine: Machine) -> None:
        active = job.active
        waiting: Iterator[int] | None = None
        while job.parallelism is None or active < job.parallelism:
            devices = turn.candidates(job)
            if devices is None:
                return
            if waiting is None:
                with self._home.store.read() as db:
                    waiting = iter(_records.waiting(db, job.id))
            idx = next(waiting, None)
            if idx is None:
                return
            holds = self._hold(job, idx, devices, locks)
            if holds is None:
                turn.wait(job)
                return
            if self._launch(job, idx, holds, machine.devices):
                turn.take(job)
                active += 1

    def _hold(self, job: Queued, idx: int, devices: Sequence[Device], locks: Locks) -> list[Hold] | None:
        """Lock as many GPUs as one task wants, or none."""
        wanted = job.demand.gpus
        busy = self._busy(devices, job) if wanted else set[str]()
        holder = Holder(self._home.ref(job.name_of(idx)), self.mark(job.id, idx))
        holds: list[Hold] = []
        for device in devices:
            if len(holds) == wanted:
                break
            if device.uuid in busy:
                continue
            if job.demand.shared:
                shares = job.demand.count if job.demand.sharing == "shard" else 1
                hold = locks.share(device.uuid, holder, shares)
            else:
                hold = locks.exclusive(device.uuid, holder)
            if hold is not None:
                holds.append(hold)
        if len(holds) < wanted:
            for hold in holds:
                hold.close()
            return None
        return holds

    def _busy(self, devices: Sequence[Device], job: Queued) -> set[str]:
        """GPUs on which somebody computes without holding the lock; to share one is to accept that."""
        if self._settings.simulated is not None or not self._settings.wait_for_busy or job.demand.shared:
            return set()
        return set(computing_on(d.uuid for d in devices))

    def mark(self, job_id: int, idx: int) -> str:
        """What marks the processes of a task, unique on this machine."""
        return f"{self._store_id}/{job_id}_{idx}"

    def _launch(self, job: Queued, idx: int, holds: list[Hold], devices: Sequence[Device]) -> bool:
        directory = self._home.task(job.id, idx)
        lock = try_lock(directory / "lock")
        try:
            if lock is None:  # its last supervisor is not quite gone
                return False
            gpus = [hold.gpu for hold in holds]
            with self._home.store.write() as db:
                launch = _records.to_starting(db, job.id, idx, gpus)
            if launch is None:
                return False
            files = [fd for hold in holds for fd in hold.files]
            held = ",".join(f"{d.index}:{d.uuid}:{d.profile or ''}" for d in devices if d.uuid in gpus)
            args = [self._home.directory, self._home.target, job.id, idx, launch, lock, held, *files]
            mark = self.mark(job.id, idx)
            log = directory / "supervisor.log"
            spawn("_supervisor", [str(a) for a in args], mark=mark, pass_fds=[lock, *files], log=log)
            return True
        finally:
            if lock is not None:
                os.close(lock)
            for hold in holds:
                hold.close()


def try_lock(path: Path) -> int | None:
    """An open file with its ``flock``, or None while somebody else has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def is_locked(path: Path) -> bool:
    """Whether somebody holds the ``flock``; only looks, and does not get into a taker's way for long."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@contextmanager
def _locked(path: Path) -> Generator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
