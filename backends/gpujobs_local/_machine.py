"""What this machine has: processors, memory, GPUs."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from gpujobs_local import _gpus
from gpujobs_local._locks import Locks, lock_directory
from gpujobs_local._match import Machine

if TYPE_CHECKING:
    from gpujobs_local._home import Home
    from gpujobs_local._settings import Settings

_LEAST_RUNNING = 64
_RUNNING_PER_CPU = 8


def machine(home: Home, settings: Settings, *, gpus: bool = True) -> Machine:
    """This machine as it is handed out; its GPUs are looked for only where they matter."""
    devices = tuple(_gpus.find(settings, home.gpu_cache)) if gpus else ()
    return Machine(devices, float(cpus()), memory(), settings.shares)


def cpus() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def most_running() -> int:
    """How many supervisors run at once, whatever they ask for: a thousand jobs must not start as one."""
    return max(_LEAST_RUNNING, _RUNNING_PER_CPU * cpus())


def name() -> str:
    """The name of this machine."""
    return socket.gethostname()


def locks(home: Home, settings: Settings) -> Locks:
    """The locks of its GPUs: machine-wide for real ones, the target's own for pretended ones."""
    if settings.simulated is not None:
        return Locks(home.directory / "locks", settings.shares, parents=False)
    return Locks(lock_directory(settings.lock_dir), settings.shares)


def check_locks(home: Home, settings: Settings) -> None:
    """See whether the locks of its GPUs can be used.

    Raises:
        ConfigError: One is a symbolic link, or cannot be opened; the message names it.
    """
    there = locks(home, settings)
    for device in _gpus.find(settings, home.gpu_cache):
        if not device.mig_parent:
            there.check(device.uuid)
