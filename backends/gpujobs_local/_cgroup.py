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
_V2_FILE = "cgroup.controllers"
_PROCESSES = "cgroup.procs"


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
        group = cls(parent / name, v2=(parent / _V2_FILE).exists())
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

    def join(self) -> None:
        """Move this process into it.

        Raises:
            OSError: The kernel refuses.
        """
        _move_to(self.path)

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
        path = base / _ours()
        try:
            _delegate(base)
            path.mkdir(exist_ok=True)
            _delegate(path)
        except OSError:
            continue
        if os.access(path, os.W_OK) and _limits_memory(path):
            return path
    return None


def prefix(mark: str) -> str:
    """How the paths of a holder's groups begin, one per attempt; empty where none can be made."""
    parent = _parent()
    return f"{parent}/{mark.replace('/', '-')}-" if parent is not None else ""


def members(beginning: str) -> list[int]:
    """The processes in the groups whose paths begin so: also those that have cleared their environment."""
    found: list[int] = []
    for group in _groups(beginning):
        with suppress(OSError, ValueError):
            found += [int(pid) for pid in (group / _PROCESSES).read_text().split()]
    return found


def remove_all(beginning: str) -> None:
    """Remove the empty ones of the groups whose paths begin so."""
    for group in _groups(beginning):
        with suppress(OSError):
            group.rmdir()


def _groups(beginning: str) -> list[Path]:
    if not beginning:
        return []
    first = Path(beginning)
    with suppress(OSError):
        return [first.parent / name for name in os.listdir(first.parent) if name.startswith(first.name)]  # noqa: PTH208
    return []


def leave() -> None:
    """Move this process out of a job's group, if it is in one: a job that submits jobs limits only itself."""
    for own in _own():
        if _ours() in own.parts:
            aside = _above(own) / _ours() / "supervisors"
            with suppress(OSError):
                aside.mkdir(exist_ok=True)
                _move_to(aside)


def _move_to(group: Path) -> None:
    fd = os.open(group / _PROCESSES, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"0")  # the writer itself, as the group's pid namespace knows it
    finally:
        os.close(fd)


def _ours() -> str:
    return f"gpujobs-{os.getuid()}"


def _own() -> list[Path]:
    """The groups that this process is in."""
    found: list[Path] = []
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            # 0::/user.slice/user-1000.slice   9:memory:/docker/abc
            _, controllers, path = line.split(":", 2)
            if controllers == "" and (_V2 / _V2_FILE).exists():
                found.append(_V2 / path.lstrip("/"))
            elif "memory" in controllers.split(",") and _V1.is_dir():
                found.append(_V1 / path.lstrip("/"))
    return found


def _above(group: Path) -> Path:
    """Where our groups hang: a process inside one of them makes new ones beside it, not below."""
    return Path(*group.parts[: group.parts.index(_ours())]) if _ours() in group.parts else group


def _bases() -> list[Path]:
    bases: list[Path] = []
    for own in map(_above, _own()):
        bases.append(own)
        if (own / _V2_FILE).exists() and own != _V2:
            # Only a group without processes of its own can hand memory on, so look above ours as well.
            bases.append(own.parent)
    return [p for p in [*bases, _V1, _V2] if (p / "memory.limit_in_bytes").exists() or (p / _V2_FILE).exists()]


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
