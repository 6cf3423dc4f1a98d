"""Why a job waits: numbers from the records and the locks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gpujobs.errors import ConfigError
from gpujobs.reasons import Cause, Reason
from gpujobs.results import Capacity, GpuCapacity
from gpujobs_local import _dependencies, _records
from gpujobs_local._gpus import computing_on
from gpujobs_local._machine import locks as open_locks
from gpujobs_local._machine import machine as look_at_machine
from gpujobs_local._machine import most_running
from gpujobs_local._machine import name as machine_name
from gpujobs_local._match import Demand, eligible

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from gpujobs_local._gpus import Device
    from gpujobs_local._home import Home
    from gpujobs_local._locks import Locks
    from gpujobs_local._settings import Settings


class Waits:
    """What waiting jobs wait for, in one look at the records: cheap for any number of them."""

    def __init__(self, home: Home, settings: Settings, db: sqlite3.Connection) -> None:
        self._db = db
        self._busy = _records.supervised(db)
        self._home = home
        self._settings = settings
        self._taken: set[str] | None = None

    def cause(self, job: sqlite3.Row) -> Cause:
        """Why the waiting tasks of a job wait."""
        plan: dict[str, Any] = json.loads(job["plan"])
        upstream = _dependencies.waits_for(self._db, plan)
        if upstream is not None:
            return Cause(Reason.DEPENDENCY, f"It waits for {upstream} to end.")
        own = sum(1 for row in self._busy if row["job_id"] == job["id"])
        if job["parallelism"] is not None and own >= job["parallelism"]:
            return Cause(Reason.ARRAY_LIMIT, f"{own} of its elements run, and no more may at once.")
        if len(self._busy) >= most_running():
            return Cause(Reason.INSUFFICIENT_RESOURCES, f"{len(self._busy)} tasks run, the most at once here.")
        wanted = plan.get("gpus", {}).get("count", 0)
        if wanted:
            return self._gpu_cause(plan, json.loads(job["context"]).get("visible"))
        if plan.get("cpus") or plan.get("memory"):
            return Cause(Reason.INSUFFICIENT_RESOURCES, "It waits for processors or memory.", "See `gpujobs ps`.")
        return Cause(Reason.QUEUED, "It is about to be started.")

    def _held(self) -> set[str]:
        """The GPUs that anybody holds, looked up once."""
        if self._taken is None:
            locks = open_locks(self._home, self._settings)
            devices = look_at_machine(self._home, self._settings).devices
            ours = {gpu for row in self._busy for gpu in json.loads(row["gpus"])}
            self._taken = ours | {d.uuid for d in devices if d.uuid not in ours and _is_locked(locks, d.uuid)}
        return self._taken

    def _gpu_cause(self, plan: dict[str, Any], visible: list[str] | None) -> Cause:
        demand = Demand.from_dict({**plan["gpus"], "visible": visible})
        machine = look_at_machine(self._home, self._settings)
        usable = {d.uuid for d in eligible(machine.devices, demand, machine.memory)}
        needs = f"It needs {demand.gpus} GPU{'s' * (demand.gpus > 1)}"
        if len(usable) < demand.gpus:
            message = f"{needs}, but this machine has {len(usable)} such by now."
            return Cause(Reason.UNSCHEDULABLE, message, "Cancel it, or see `gpujobs capacity`.")
        message = f"{needs}; {len(usable - self._held())} of {len(usable)} are free."
        return Cause(
            Reason.INSUFFICIENT_GPU, message, "It starts when enough are free and those before it have started."
        )


def _is_locked(locks: Locks, gpu: str) -> bool:
    """Whether it cannot be had; one whose lock cannot be used cannot."""
    try:
        return locks.in_use(gpu)
    except ConfigError:
        return True


def ahead(db: sqlite3.Connection, job: sqlite3.Row) -> int:
    """How many waiting jobs come before this one."""
    row = db.execute(
        "SELECT count(*) FROM jobs WHERE (priority > ? OR (priority = ? AND id < ?))"
        " AND id IN (SELECT job_id FROM tasks WHERE state = 'PENDING')",
        [job["priority"], job["priority"], job["id"]],
    ).fetchone()
    return int(row[0])


def capacity(home: Home, settings: Settings) -> Capacity:
    """The GPUs of this machine, one entry per kind; to be free one must be neither held nor computed on."""
    machine = look_at_machine(home, settings)
    locks = open_locks(home, settings)
    devices = [d for d in machine.devices if not d.mig_parent]
    busy = set(computing_on(d.uuid for d in devices)) if settings.simulated is None else set[str]()
    kinds: dict[tuple[str, int | None, str | None], list[bool]] = {}
    for device in devices:
        free = device.uuid not in busy and not _is_locked(locks, device.uuid)
        kinds.setdefault((device.name, device.memory, device.profile), []).append(free)
    notes = () if devices else ("No GPU was found on this machine.",)
    return Capacity(
        tuple(
            GpuCapacity(
                machine_name(), kind, len(free), sum(free), memory, sharing=f"mig {profile}" if profile else "exclusive"
            )
            for (kind, memory, profile), free in kinds.items()
        ),
        notes,
    )


def holders(db: sqlite3.Connection, home: Home, settings: Settings) -> list[str]:
    """One sentence per GPU: who has it."""
    machine = look_at_machine(home, settings)
    by_gpu: dict[str, list[str]] = {}
    for row in _records.supervised(db):
        name = f"{row['job_id']}_{row['idx']}" if row["is_array"] else str(row["job_id"])
        for gpu in json.loads(row["gpus"]):
            by_gpu.setdefault(gpu, []).append(home.ref(name))
    locks = open_locks(home, settings)
    real = settings.simulated is None
    computing = computing_on(d.uuid for d in machine.devices) if real else {}
    return [
        _holder(d, by_gpu.get(d.uuid, []), locked=_is_locked(locks, d.uuid), pids=computing.get(d.uuid, []))
        for d in machine.devices
        if not d.mig_parent
    ]


def _holder(device: Device, refs: Sequence[str], *, locked: bool, pids: Sequence[int]) -> str:
    name = f"GPU {device.index} ({device.name})"
    if refs:
        return f"{name} is held by {', '.join(refs)}."
    if locked:
        return f"{name} is held by a job of another user or state directory, or its lock cannot be used."
    if pids:
        return f"{name} is used by a process that gpujobs did not start: {', '.join(map(str, pids))}."
    return f"{name} is free."
