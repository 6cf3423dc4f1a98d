"""Where many threads leave log lines and one takes them: bounded, and taken by the hundred where they come fast.

Waking a thread takes longer than reading a line, so it is not done for each: whoever takes waits a moment between two
takings, and whoever leaves something wakes it only where nothing lay there yet.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.results import LogLine

MOST = 1 << 22
"""Bytes that may lie there, about; a thread that brings more waits."""
LINE = 400
"""What a line takes up besides its text."""
_GATHER_S = 0.01
"""So long at least from one taking to the next, unless it is full before."""


class Inbox:
    """Lines on their way from the readers of logs to whoever merges them."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lines: list[LogLine] = []
        self._size = 0
        self._taken = float("-inf")
        self._closed = False
        lock = threading.Lock()
        self._some, self._full, self._room = (threading.Condition(lock) for _ in range(3))

    def put(self, lines: Sequence[LogLine], size: int = 0) -> None:
        """Leave lines of ``size`` bytes of text; blocks while there is no room, until it is closed."""
        with self._room:
            while self._size >= self._most and not self._closed:
                self._room.wait()
            if not self._lines:
                self._some.notify()
            self._lines += lines
            self._size += size + LINE * len(lines)
            if self._size >= self._most:
                self._full.notify()

    def take(self, timeout: float) -> list[LogLine]:
        """All that lies there; nothing if nothing comes in time."""
        with self._some:
            if not self._lines and not self._some.wait(timeout):
                return []
            rest = self._taken + _GATHER_S - time.monotonic()
            if rest > 0 and self._size < self._most:
                self._full.wait(rest)
            self._taken = time.monotonic()
            found, self._lines, self._size = self._lines, [], 0
            self._room.notify_all()
        return found

    def empty(self) -> bool:
        """Whether nothing lies there."""
        return not self._lines

    def close(self) -> None:
        """Nobody takes any more: what is left is dropped, nobody waits."""
        with self._room:
            self._closed = True
            self._room.notify_all()
