"""Where many threads leave what they read and one takes it: bounded, and taken by the hundred where it comes fast.

Waking a thread takes longer than reading a line, so it is not done for each: whoever takes waits a moment between two
takings, and whoever leaves something wakes it only where nothing lay there yet.
"""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

K = TypeVar("K")
E = TypeVar("E")
MOST = 1 << 20
"""Bytes that may lie there; a thread that brings more waits."""
_GATHER_S = 0.01
"""So long at least from one taking to the next, unless it is full before."""


class Inbox(Generic[K, E]):
    """Bytes on their way from readers to whoever merges them, and the news that a reader has come to an end."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._pieces: dict[K, list[bytes]] = {}
        self._ends: dict[K, E] = {}
        self._size = 0
        self._taken = float("-inf")
        self._closed = False
        lock = threading.Lock()
        self._some, self._full, self._room = (threading.Condition(lock) for _ in range(3))

    def put(self, reader: K, data: bytes) -> bool:
        """Leave what a reader has read; blocks while there is no room. False once nobody takes any more."""
        with self._room:
            while self._size >= self._most and not self._closed:
                self._room.wait()
            if not self._pieces:
                self._some.notify()
            self._pieces.setdefault(reader, []).append(data)
            self._size += len(data)
            if self._size >= self._most:
                self._full.notify()
            return not self._closed

    def end(self, reader: K, how: E) -> None:
        """A reader has come to an end, and will leave nothing more before that is taken."""
        with self._some:
            self._pieces.setdefault(reader, [])
            self._ends[reader] = how
            self._some.notify()

    def take(self, timeout: float) -> list[tuple[K, bytes, E | None]]:
        """All that lies there, by reader, in the order in which it was read; nothing if nothing comes in time."""
        with self._some:
            if not self._pieces and not self._some.wait(timeout):
                return []
            rest = self._taken + _GATHER_S - time.monotonic()
            if rest > 0 and self._size < self._most:
                self._full.wait(rest)
            self._taken = time.monotonic()
            pieces, self._pieces, self._size = self._pieces, {}, 0
            ends, self._ends = self._ends, {}
            self._room.notify_all()
        return [(reader, b"".join(pieces[reader]), ends.get(reader)) for reader in pieces]

    def close(self) -> None:
        """Nobody takes any more, so nobody need wait."""
        with self._room:
            self._closed = True
            self._room.notify_all()
