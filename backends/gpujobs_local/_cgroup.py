"""A control group per job, where this user may make one: limits memory, counts OOM kills, knows its processes.

Follows https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html
"""

from __future__ import annotations

import functools
import os
import time
from contextlib import suppress
from pathlib import Path

_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")


class Group:
    """One memory control group."""

    def __init__(self, path: Path, *, v2: bool) -> None:
        self.path = path
        self._v2 = v2

    @classmethod
    def create(cls, name: str, limit: int | None) -> Group | None:
        """A new group with at most ``limit`` bytes of memory, or None where none can be made."""
        parent = _parent()
        if parent is None:
            return None
        group = cls(parent / name, v2=(parent / "cgroup.controllers").exists())
        try:
            group.path.mkdir(exist_ok=True)
            if limit is not None:
                group._limit(limit)
        except OSError:
            group.remove()
            return None
        return group

    def _limit(self, limit: int) -> None:
        if self._v2:
            (self.path / "memory.max").write_text(str(limit))
            with suppress(OSError):  # absent without swap accounting
                (self.path / "memory.swap.max").write_text("0")
            return
        (self.path / "memory.limit_in_bytes").write_text(str(limit))
        with suppress(OSError):
            (self.path / "memory.memsw.limit_in_bytes").write_text(str(limit))

    def oom_kills(self) -> int:
        """How many processes the kernel killed in it for want of memory."""
        with suppress(OSError, ValueError):
            # oom_kill 1
            lines = (self.path / ("memory.events" if self._v2 else "memory.oom_control")).read_text().split("\n")
            return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
        return 0

    def pids(self) -> list[int]:
        """The processes in it."""
        with suppress(OSError, ValueError):
            return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]
        return []

    def remove(self) -> None:
        """Remove it; the kernel needs a moment after its last process."""
        for _ in range(20):
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.01)
            else:
                return


@functools.cache
def permitted() -> bool:
    """Whether memory can be limited here."""
    group = Group.create(f"probe-{os.getpid()}", 64 * 2**20)
    if group is not None:
        group.remove()
    return group is not None


@functools.cache
def _parent() -> Path | None:
    """The directory in which this user's groups are made."""
    for base in _bases():
        path = base / f"gpujobs-{os.getuid()}"
        try:
            _delegate(base)
            path.mkdir(exist_ok=True)
            _delegate(path)
        except OSError:
            continue
        if os.access(path, os.W_OK) and _limits_memory(path):
            return path
    return None


def _bases() -> list[Path]:
    own: list[Path] = []
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            # 0::/user.slice/user-1000.slice   9:memory:/docker/abc
            _, controllers, path = line.split(":", 2)
            if controllers == "" and (_V2 / "cgroup.controllers").exists():
                # Only a group without processes of its own can hand memory on, so look above ours as well.
                here = _V2 / path.lstrip("/")
                own += [here, here.parent] if here != _V2 else [here]
            elif "memory" in controllers.split(",") and _V1.is_dir():
                own.append(_V1 / path.lstrip("/"))
    return [
        p for p in [*own, _V1, _V2] if (p / "memory.limit_in_bytes").exists() or (p / "cgroup.controllers").exists()
    ]


def _delegate(path: Path) -> None:
    control = path / "cgroup.subtree_control"
    if control.exists() and "memory" not in control.read_text().split():
        control.write_text("+memory")


def _limits_memory(path: Path) -> bool:
    probe = path / f"new-{os.getpid()}"
    probe.mkdir(exist_ok=True)
    try:
        return (probe / "memory.max").exists() or (probe / "memory.limit_in_bytes").exists()
    finally:
        probe.rmdir()
