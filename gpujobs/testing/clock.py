"""A clock that stands still until it is told, or asked to sleep."""

from __future__ import annotations

import threading

__all__ = ["ManualClock"]


class ManualClock:
    """Time for tests: ``sleep`` returns at once and moves it on. Thread-safe."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def time(self) -> float:
        """Seconds since 1970."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """The same seconds."""
        return self.time()

    def sleep(self, seconds: float, /) -> None:
        """Move on by so many seconds."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds.

        Raises:
            ValueError: The number is negative.
        """
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds} s")
        with self._lock:
            self._now += seconds
