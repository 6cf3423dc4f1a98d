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
        self._read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, CANCEL, signal.SIGTERM):
            signal.signal(number, self._note)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)

    def _note(self, number: int, _frame: object) -> None:
        self._arrived.add(number)

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
