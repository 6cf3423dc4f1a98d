"""Waiting for signals and deadlines at once, in a single-threaded process."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CANCEL = signal.SIGUSR1
"""Tells a supervisor to look at its row: it may have been cancelled."""


class Signals:
    """The signals that a supervisor lives by. Made once, in its main thread."""

    def __init__(self) -> None:
        self._arrived: set[int] = set()
        self.shutdown = False
        """Whether TERM ever came: the machine goes down, or somebody ends us."""
        _forget_inherited()
        self._read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        # Handled, not ignored, also where nothing is to be done: what is ignored stays so in the job's processes.
        for number in (signal.SIGCHLD, CANCEL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        self._arrived.add(number)
        self.shutdown = self.shutdown or number == signal.SIGTERM

    def wait(self, until: Iterable[float | None]) -> set[int]:
        """Until a signal comes or the first of these monotonic times has come; the signals since the last wait."""
        times = [t for t in until if t is not None]
        timeout = max(0.0, min(times) - time.monotonic()) if times else None
        if not self._arrived:
            select.select([self._read], [], [], timeout)
        with suppress(BlockingIOError):
            while os.read(self._read, 1024):
                pass
        arrived = set(self._arrived)
        self._arrived -= arrived
        return arrived


def _forget_inherited() -> None:
    """Undo what whoever started us ignores or blocks: neither we nor the job shall be deaf because of it."""
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # Python's own default; its children get the system's
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
