"""``gpujobs targets check``: what the local backend stands on, each tried for real."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gpujobs.backend import LogQuery, Submission
from gpujobs.errors import GpuJobsError
from gpujobs.results import Check
from gpujobs.specs import GpuJob
from gpujobs.states import State
from gpujobs_local import _cgroup, _machine
from gpujobs_local._filesystem import network_type
from gpujobs_local._locks import Holder

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs_local._home import Home
    from gpujobs_local._settings import Settings
    from gpujobs_local.backend import LocalBackend

_PATIENCE_S = 30.0
_LOOK_S = 0.05


def run_checks(backend: LocalBackend, home: Home, settings: Settings) -> list[Check]:
    """One entry per thing looked at."""
    looks: list[tuple[str, Callable[[], str]]] = [
        ("state directory", lambda: _state_directory(home)),
        ("GPUs", lambda: _gpus(home, settings)),
        ("GPU locks", lambda: _locks(home, settings)),
        ("memory limits", _memory),
        ("a job", lambda: _job(backend)),
    ]
    return [_check(title, look) for title, look in looks]


def _check(title: str, look: Callable[[], str]) -> Check:
    try:
        return Check(title, ok=True, message=look())
    except GpuJobsError as e:
        return Check(title, ok=False, message=e.message, next=e.next_step)


def _state_directory(home: Home) -> str:
    home.store.make()
    with home.store.write():
        pass
    kind = network_type(home.directory) or "a local file system"
    return f"{home.directory} is writable, on {kind}; SQLite {sqlite3.sqlite_version}."


def _gpus(home: Home, settings: Settings) -> str:
    devices = [d for d in _machine.machine(home, settings).devices if not d.mig_parent]
    names = ", ".join(sorted({d.name for d in devices}))
    if settings.simulated is not None:
        return f"{len(devices)} pretended ones."
    return f"{len(devices)}: {names}." if devices else "None was found by NVML or nvidia-smi: jobs without GPUs run."


def _locks(home: Home, settings: Settings) -> str:
    locks = _machine.locks(home, settings)
    name = f"check-{os.getpid()}"
    hold = locks.exclusive(name, Holder(name, name))
    if hold is None:
        return "They are taken and given back."
    try:
        second = locks.exclusive(name, Holder(name, name))
        if second is not None:
            second.close()
            raise GpuJobsError("The file system does not keep locks.", next_step="Set lock_dir to a local directory.")
    finally:
        hold.close()
        locks.forget(name)
    return "They are taken and given back."


def _memory() -> str:
    if _cgroup.permitted():
        return "They can be set."
    return "They cannot be set here (no control group): jobs that ask for memory are refused."


def _job(backend: LocalBackend) -> str:
    key = f"gpujobs-check-{os.getpid()}-{time.time_ns()}"
    with tempfile.TemporaryDirectory() as directory:
        spec = GpuJob(name="gpujobs-check", command=["pwd"], workdir=str(Path(directory).resolve()), grace=1)
        ref = backend.submit([Submission(spec, key, json.dumps(key))])[0]
        if isinstance(ref, GpuJobsError):
            raise ref
        deadline = time.monotonic() + _PATIENCE_S
        while not (status := backend.statuses([ref])[0]).final and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        lines = [line.text for line in backend.logs(ref, LogQuery())]
        backend.cancel([ref])
    backend.delete([ref])
    if status.state is not State.SUCCEEDED or lines != [spec.workdir]:
        raise GpuJobsError(
            f"A tiny job did not end well: {status.state}, {status.reason}.", next_step="See `gpujobs ps --all`."
        )
    return "A tiny one ran and its log was read."
