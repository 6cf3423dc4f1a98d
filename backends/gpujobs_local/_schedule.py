"""The scheduler: whoever submits, ends or looks runs one pass of it; there is no server.

A pass mends what killed processes left, settles what cannot start any more, and starts what can. It is safe to be
killed at any point: a task becomes STARTING before its supervisor exists, but its lock is held from before that until
the supervisor's end, so a STARTING task whose lock is free never ran and goes back to the queue.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from gpujobs.errors import ConfigError
from gpujobs.reasons import Cause
from gpujobs_local import _dependencies, _private, _records, _recover
from gpujobs_local._cgroup import prefix
from gpujobs_local._flock import locked, try_lock, unlock
from gpujobs_local._gpus import computing_on
from gpujobs_local._locks import Hold, Holder, Locks, mark_of
from gpujobs_local._machine import locks as open_locks
from gpujobs_local._machine import machine as look_at_machine
from gpujobs_local._machine import most_running
from gpujobs_local._queue import Turn
from gpujobs_local._settings import Settings
from gpujobs_local._spawn import spawn

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from gpujobs_local._gpus import Device
    from gpujobs_local._home import Home
    from gpujobs_local._match import Demand, Machine
    from gpujobs_local._records import Queued


def run_pass(home: Home) -> None:
    """One pass, and a keeper where something is still to be looked after. Blocks while another pass runs."""
    with home.store.translated():
        with locked(home.directory / "schedule.lock"):
            _Pass(home).run()
        ensure_keeper(home)


def see_to_pass(home: Home) -> None:
    """A pass that begins after now: our own, unless another process already waits to begin one.

    So of the many that end or submit at the same time two run a pass, and not each. One killed as it waits is
    made up for by the keeper.
    """
    with home.store.translated():
        turn = try_lock(home.directory / "next.lock")
        if turn is not None:
            try:
                with locked(home.directory / "schedule.lock"):
                    unlock(turn)  # who comes from here on may have changed what this pass has read
                    turn = None
                    _Pass(home).run()
            finally:
                if turn is not None:
                    unlock(turn)
        ensure_keeper(home)


def ensure_keeper(home: Home) -> None:
    """See to it that somebody looks again while something waits."""
    with home.store.read() as db:
        if not _records.any_open(db):
            return
    with home.store.translated():
        fd = try_lock(home.directory / "keeper.lock")
    if fd is None:
        return
    log = home.directory / "keeper.log"
    try:
        spawn("_keeper", [str(home.directory), home.target, str(fd)], mark="keeper", pass_fds=[fd], log=log)
    except BaseException:
        unlock(fd)
        raise
    os.close(fd)


class _Pass:
    def __init__(self, home: Home) -> None:
        self._home = home
        with home.store.read() as db:
            self._settings = Settings.load(_records.meta(db, "settings") or "{}")
            self._store_id = _records.meta(db, "id") or ""
        self._busy: dict[str, bool] = {}

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
        if ready:
            self._start(ready, busy)
        _private.forget(self._home)

    def _start(self, ready: Sequence[Queued], busy: Sequence[sqlite3.Row]) -> None:
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
        mark = mark_of(self._store_id, job.id, idx)
        holder = Holder(self._home.ref(job.name_of(idx)), mark, prefix(mark) if wanted else "")
        holds: list[Hold] = []
        for device in devices:
            if len(holds) == wanted:
                break
            hold = self._hold_one(device.uuid, job.demand, holder, locks)
            if hold is not None:
                holds.append(hold)
        if len(holds) < wanted:
            for hold in holds:
                hold.release()
            return None
        return holds

    def _hold_one(self, gpu: str, demand: Demand, holder: Holder, locks: Locks) -> Hold | None:
        try:
            if demand.shared:
                return locks.share(gpu, holder, demand.count if demand.sharing == "shard" else 1)
            hold = locks.exclusive(gpu, holder)
        except ConfigError as e:  # one broken lock must not keep everybody from the other GPUs
            import logging  # noqa: PLC0415  # seldom needed, and every supervisor would wait for it

            logging.getLogger(__name__).warning("%s", e)
            return None
        if hold is not None and self._is_busy(gpu):
            hold.release()
            return None
        return hold

    def _is_busy(self, gpu: str) -> bool:
        """Whether somebody computes there without holding the lock; to share a GPU is to accept that."""
        if self._settings.simulated is not None or not self._settings.wait_for_busy:
            return False
        if gpu not in self._busy:
            self._busy[gpu] = bool(computing_on([gpu]))
        return self._busy[gpu]

    def _launch(self, job: Queued, idx: int, holds: list[Hold], devices: Sequence[Device]) -> bool:
        directory = self._home.task(job.id, idx)
        lock = try_lock(directory / "lock")
        handed_over = False
        try:
            if lock is None:  # its last supervisor is not quite gone
                return False
            gpus = [hold.gpu for hold in holds]
            with self._home.store.write() as db:
                started = _records.to_starting(db, job.id, idx, gpus)
            if started:
                files = [fd for hold in holds for fd in hold.files]
                held = ",".join(f"{d.index}:{d.uuid}:{d.profile or ''}" for d in devices if d.uuid in gpus)
                args = [self._home.directory, self._home.target, job.id, idx, lock, held, *files]
                mark = mark_of(self._store_id, job.id, idx)
                log = directory / "supervisor.log"
                spawn("_supervisor", [str(a) for a in args], mark=mark, pass_fds=[lock, *files], log=log)
                handed_over = True
            return handed_over
        finally:
            if lock is not None:
                (os.close if handed_over else unlock)(lock)
            for hold in holds:
                (hold.close if handed_over else hold.release)()
