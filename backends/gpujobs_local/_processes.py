"""Processes of this machine as ``/proc`` shows them: who descends from whom, who carries a job's mark.

Follows proc(5): https://man7.org/linux/man-pages/man5/proc.5.html
"""

from __future__ import annotations

import functools
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Iterator

PROC = Path("/proc")
_KERNEL = 0x00200000  # PF_KTHREAD of include/linux/sched.h
_EXEC_LOOKS, _EXEC_S = 5, 0.002
SUPERVISOR = "GPUJOBS_SUPERVISOR"
"""Marks supervisors themselves: a job that submits jobs must not take theirs for its own children."""


class Process(NamedTuple):
    """One line of the process table; ``started`` (clock ticks since boot) tells a reused pid from the first one."""

    pid: int
    parent: int
    started: int
    zombie: bool
    kernel: bool = False


@functools.cache
def boot_id() -> str:
    """A text that is another after every reboot."""
    with suppress(OSError):
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return "unknown"


def look(pid: int) -> Process | None:
    """One process, or None where there is none of that pid."""
    try:
        text = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # 1234 (a name) S 1 ...: the name may hold anything, so count from its closing bracket.
    fields = text[text.rindex(b")") + 2 :].split()
    return Process(pid, int(fields[1]), int(fields[19]), fields[0] in {b"Z", b"X"}, bool(int(fields[6]) & _KERNEL))


def table() -> Iterator[Process]:
    """All processes that can be seen, but for the kernel's own."""
    for entry in os.listdir(PROC):  # noqa: PTH208  # names are all that is needed, thousands of times
        if entry.isdigit() and (process := look(int(entry))) is not None and not process.kernel:
            yield process


def environment(pid: int) -> dict[bytes, bytes]:
    """The environment a process was started with; empty where it may not be read."""
    try:
        text = (PROC / str(pid) / "environ").read_bytes()
        for _ in range(_EXEC_LOOKS):
            if text or (PROC / str(pid) / "cmdline").read_bytes():
                break
            # For a moment inside execve(2) a process shows neither words nor environment.
            time.sleep(_EXEC_S)
            text = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    return dict(entry.split(b"=", 1) for entry in text.split(b"\0") if b"=" in entry)


def descendants(root: int) -> list[Process]:
    """Everything that descends from ``root`` and runs, but for the supervisors of other jobs and what is theirs."""
    children: dict[int, list[Process]] = {}
    for process in table():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    left = list(children.get(root, ()))
    while left:
        process = left.pop()
        if not process.zombie:
            if SUPERVISOR.encode() in environment(process.pid):
                continue
            found.append(process)
        left += children.get(process.pid, ())
    return found


def carrying(marks: Iterable[tuple[str, str]], also: Iterable[int] = ()) -> list[Process]:
    """The processes whose environment holds one of these (name, value) pairs, but for supervisors.

    ``also`` are pids that count without a look at their environment (members of a control group).
    """
    wanted = {(name.encode(), value.encode()) for name, value in marks}
    pids = set(also)
    found: list[Process] = []
    for process in table():
        if process.zombie:
            continue
        env = environment(process.pid)
        if (process.pid in pids or any(env.get(n) == v for n, v in wanted)) and SUPERVISOR.encode() not in env:
            found.append(process)
    return found


def send(processes: Iterable[Process], number: signal.Signals) -> None:
    """Signal each, unless its pid belongs to another process by now."""
    for process in processes:
        now = look(process.pid)
        if now is not None and now.started == process.started:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)


def send_group(leader: int, number: signal.Signals) -> None:
    """Signal a process group; one that is gone is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
