"""One attempt of a task: its processes from start to end, its limits, what was seen."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gpujobs_local import _command
from gpujobs_local._events import CANCEL, Signals
from gpujobs_local._outcome import Seen
from gpujobs_local._processes import descendants, send, send_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gpujobs_local._cgroup import Group
    from gpujobs_local._outcome import Ending
    from gpujobs_local._processes import Process

_CLEAR_S = 0.1
"""How often it is looked whether anything is left."""

_LOOK_S = 2.0
"""How often the row is looked at without being told to: a client may be killed between note and signal."""


class Attempt:
    """Runs the processes of one attempt, all started by this process.

    Args:
        signals: This process's signals.
        cancelled: Looks up whether the task is to be cancelled.
        ends: (why, monotonic time, what as text) of each limit.
        grace: Seconds between TERM and KILL.
        group: The control group that the processes join, or None.
    """

    def __init__(
        self,
        signals: Signals,
        *,
        cancelled: Callable[[], bool],
        ends: Sequence[tuple[Ending, float, str]],
        grace: float,
        group: Group | None,
    ) -> None:
        self._signals = signals
        self._cancelled = cancelled
        self._ends = ends
        self._grace = grace
        self._group = group
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._status: int | None = None
        self._ended_by: Ending | None = None
        self._limit = ""
        self._kill_at: float | None = None
        self._look_at = time.monotonic() + _LOOK_S
        self._ooms_before = _machine_ooms()

    def run(
        self,
        argv: Sequence[str],
        envs: Sequence[Mapping[str, str]],
        workdir: Path,
        umask: int,
        output: tuple[Path, Path | None],
    ) -> Seen:
        """Start one process per environment, see them to their end, and tell what was seen.

        The first that fails decides, and ends the others.
        """
        stdout = _open(output[0])
        stderr = _open(output[1]) if output[1] else stdout
        try:
            problem = _unusable(workdir) or _command.missing(argv, envs[0].get("PATH", ""), workdir)
            if problem is not None:
                return _not_started(stderr, *problem)
            try:
                for env in envs:
                    self._start(argv, env, workdir, umask, (stdout, stderr))
            except (OSError, subprocess.SubprocessError) as e:
                self._signal_all(signal.SIGKILL)
                self._wait()
                why = e.strerror if isinstance(e, OSError) else "its control group cannot be joined"
                return _not_started(stderr, 126, f"{argv[0]}: {why}")
        finally:
            for fd in {stdout, stderr}:
                os.close(fd)
        self._wait()
        return self._seen()

    def _start(
        self, argv: Sequence[str], env: Mapping[str, str], workdir: Path, umask: int, output: tuple[int, int]
    ) -> None:
        process = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=workdir,
            umask=umask,
            stdin=subprocess.DEVNULL,
            stdout=output[0],
            stderr=output[1],
            start_new_session=True,
            restore_signals=True,
            # One thread, so this is safe; a shell in between would lose variables whose names it does not like.
            preexec_fn=self._group.join if self._group is not None else None,  # noqa: PLW1509
        )
        self._running[process.pid] = process

    def _wait(self) -> None:
        while self._running:
            arrived = self._signals.wait([*(end for _, end, _ in self._ends), self._kill_at, self._look_at])
            self._reap()
            if self._running:
                self._enforce(arrived)

    def _reap(self) -> None:
        """Take notice of every child that ended: our own, and orphans of theirs that came to us."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                process = self._running.pop(pid, None)
                if process is not None:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    self._note(process.returncode)

    def _note(self, status: int) -> None:
        if not self._status:
            self._status = status
        if status != 0 and self._running and self._kill_at is None:
            self._begin_end()

    def _enforce(self, arrived: set[int]) -> None:
        now = time.monotonic()
        look = now >= self._look_at
        if look:
            self._look_at = now + _LOOK_S
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._signal_all(signal.SIGKILL)
                self._kill_at = now + 1.0  # again, for what was forked meanwhile
            return
        why = self._why_now(now, look=look or CANCEL in arrived)
        if why is not None:
            self._ended_by, self._limit = why
            self._begin_end()

    def _why_now(self, now: float, *, look: bool) -> tuple[Ending, str] | None:
        if self._signals.shutdown:
            return "shutdown", ""
        if look and self._cancelled():
            return "cancel", ""
        return next(((why, text) for why, end, text in self._ends if now >= end), None)

    def _begin_end(self) -> None:
        self._ends = ()
        self._kill_at = time.monotonic() + self._grace
        for pid in self._running:
            send_group(pid, signal.SIGTERM)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._running:
            send_group(pid, number)
        send(descendants(os.getpid()), number)

    def _seen(self) -> Seen:
        status = self._status or 0
        if self._group is not None:
            return Seen(status, self._ended_by, self._group.oom_kills(), limit=self._limit)
        return Seen(status, self._ended_by, machine_oom=_machine_ooms() > self._ooms_before, limit=self._limit)


def clear(grace: float, signals: Signals, remnants: Callable[[], list[Process]]) -> None:
    """End what an attempt left behind and wait until nothing descends from this process any more.

    ``remnants`` finds what belongs to the task without descending from it: what ``exec`` started beside it.
    """
    kill_at: float | None = None
    while left := [*descendants(os.getpid()), *remnants()]:
        if kill_at is None:
            send(left, signal.SIGTERM)
            kill_at = time.monotonic() + grace
        elif time.monotonic() >= kill_at:
            send(left, signal.SIGKILL)
        signals.wait([time.monotonic() + _CLEAR_S])
        _reap_all()
    _reap_all()


def _reap_all() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _open(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o666)


def _unusable(workdir: Path) -> tuple[int, str] | None:
    if not os.path.isdir(workdir):  # noqa: PTH112  # that of Path raises for a name that is too long
        return 126, f"{workdir}: the working directory does not exist"
    return None if os.access(workdir, os.X_OK) else (126, f"{workdir}: the working directory may not be entered")


def _not_started(stderr: int, status: int, note: str) -> Seen:
    with suppress(OSError):  # a full disk; the status has the note as well
        os.write(stderr, f"gpujobs: {note}\n".encode(errors="surrogateescape"))
    return Seen(status, note=note)


def _machine_ooms() -> int:
    with suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
