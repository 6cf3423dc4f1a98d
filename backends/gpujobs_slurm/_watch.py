"""Notice that a job left something (started, ended), so that Slurm is asked just then and not on a schedule."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gpujobs.errors import UnavailableError
from gpujobs_slurm._record import split_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.backend import Clock
    from gpujobs.refs import Ref
    from gpujobs_slurm._transport import Transport

_ECHOES = (0.3, 1.0, 2.0, 4.0, 8.0)
"""Slurm learns of an end a little after the job wrote it down, so it is asked again so many seconds later."""
_BETWEEN_S = 1.0
"""At most one alarm in so many seconds, however many jobs there are."""


class Watcher:
    """False alarms are few, and a missed one is found by the polling behind it."""

    def __init__(self, transport: Transport, root: Callable[[], str], clock: Clock) -> None:
        self._transport = transport
        self._root = root
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, int] = {}
        self._due: list[float] = []
        self._last = float("-inf")

    def wait(self, refs: Sequence[Ref], timeout: float) -> bool:
        """Whether something may have changed; returns after ``timeout`` at the latest."""
        ids = list(dict.fromkeys(part[0] for ref in refs if (part := split_id(ref.id))))
        try:
            return self._wait(ids, timeout)
        except UnavailableError:  # the polling behind it says so
            self._clock.sleep(timeout)
            return False

    def _wait(self, ids: list[str], timeout: float) -> bool:
        deadline = self._clock.monotonic() + timeout
        while True:
            left = deadline - self._clock.monotonic()
            if self._look(ids, max(0.0, min(left, self._next_due()))) and self._alarm():
                return True
            if self._clock.monotonic() >= deadline:
                return False
            self._clock.sleep(min(0.02, max(0.0, left)))

    def _look(self, ids: list[str], seconds: float) -> bool:
        """Wait a little; whether an alarm is due."""
        known = {i: self._known[i] for i in ids if i in self._known}
        now = self._transport.call("watch", self._root(), ids, known, seconds)
        changed = any(known.get(i, t) != t for i, t in now.items())
        with self._lock:
            self._known.update(now)
            if changed:
                moment = self._clock.monotonic()
                self._due = sorted({*self._due, *(moment + echo for echo in (0.0, *_ECHOES))})
            return bool(self._due) and self._due[0] <= self._clock.monotonic()

    def _next_due(self) -> float:
        with self._lock:
            return max(0.0, self._due[0] - self._clock.monotonic()) if self._due else 60.0

    def _alarm(self) -> bool:
        with self._lock:
            now = self._clock.monotonic()
            if now - self._last < _BETWEEN_S:
                return False
            self._last = now
            self._due = [t for t in self._due if t > now]
            return True
