"""Waiting: one shared poller per target, however many jobs and threads wait.

There is no background thread. Whoever waits first leads: it asks for everybody, then wakes the others; when it is done
another waiter leads. A fork starts with nobody waiting.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpujobs.backend import SupportsWatch
from gpujobs.errors import UnavailableError
from gpujobs.reasons import Cause, Reason
from gpujobs.states import State, Status

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from gpujobs.backend import Backend, Clock
    from gpujobs.refs import Ref

FIRST_S, FIRST_WATCHED_S = 1.0, 2.0
"""Seconds between the first rounds; a backend that notices changes by itself is asked half as often."""
LONGEST_S = 30.0
_SLICE_S = 0.5
"""The leader looks up this often, to see whether somebody new waits."""
_PATIENCE = 0.1
"""A job unchanged for t seconds is asked for every ``0.1 * t``, within the limits above."""


@dataclass(slots=True)
class _Watched:
    waiters: int = 0
    since: float = 0.0
    """When it was last seen to change."""
    status: Status | None = None


@dataclass(slots=True)
class _Shared:
    """What a fork must not inherit."""

    pid: int = field(default_factory=os.getpid)
    changed: threading.Condition = field(default_factory=threading.Condition)
    watched: dict[Ref, _Watched] = field(default_factory=dict["Ref", _Watched])
    led: bool = False
    round: int = 0
    last_poll: float = float("-inf")


class Poller:
    """Asks a backend for the statuses that somebody waits for."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._first = FIRST_WATCHED_S if isinstance(backend, SupportsWatch) else FIRST_S
        self._state = _Shared()

    @contextmanager
    def watching(self, refs: Sequence[Ref]) -> Generator[None]:
        """Count these refs among those that every round asks for."""
        shared = self._shared()
        with shared.changed:
            for ref in refs:
                entry = shared.watched.setdefault(ref, _Watched(since=self._clock.monotonic()))
                entry.waiters += 1
        try:
            yield
        finally:
            with shared.changed:
                for ref in refs:
                    shared.watched[ref].waiters -= 1
                    if not shared.watched[ref].waiters:
                        del shared.watched[ref]

    def latest(self, ref: Ref) -> Status | None:
        """What the last round said of a watched ref, or None before the first."""
        entry = self._shared().watched.get(ref)
        return entry.status if entry else None

    def next_round(self, timeout: float | None) -> None:
        """Block until there is newer news, or ``timeout`` seconds passed."""
        shared = self._shared()
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        with shared.changed:
            seen = shared.round
            while shared.led:
                if shared.round != seen or self._left(deadline) <= 0:
                    return
                shared.changed.wait(min(self._left(deadline), _SLICE_S))
            if shared.round != seen:
                return
            shared.led = True
        try:
            self._lead(shared, deadline)
        finally:
            with shared.changed:
                shared.led = False
                shared.changed.notify_all()

    def glance(self) -> None:
        """Ask now if it is time and nobody else does; never block for a change."""
        shared = self._shared()
        with shared.changed:
            if shared.led:
                return
            shared.led = True
        try:
            if self._due_in(shared) <= 0 or self._wait_change(shared, 0.0):
                self._poll(shared)
        finally:
            with shared.changed:
                shared.led = False
                shared.changed.notify_all()

    def _shared(self) -> _Shared:
        if self._state.pid != os.getpid():
            self._state = _Shared()
        return self._state

    def _left(self, deadline: float | None) -> float:
        return float("inf") if deadline is None else deadline - self._clock.monotonic()

    def _lead(self, shared: _Shared, deadline: float | None) -> None:
        """Wait until a round is due, or something changes, and ask."""
        while True:
            due = self._due_in(shared)
            if due <= 0:
                break
            left = self._left(deadline)
            if left <= 0:
                return
            if self._wait_change(shared, min(due, left, _SLICE_S)):
                break
        self._poll(shared)

    def _wait_change(self, shared: _Shared, seconds: float) -> bool:
        if isinstance(self._backend, SupportsWatch):
            with shared.changed:
                refs = [r for r, w in shared.watched.items() if w.status is None or not w.status.final]
            return self._backend.wait_change(refs, seconds)
        if seconds > 0:
            self._clock.sleep(seconds)
        return False

    def _due_in(self, shared: _Shared) -> float:
        """Seconds until the next round: the shortest interval that any watched ref wants."""
        now = self._clock.monotonic()
        with shared.changed:
            waiting = [w for w in shared.watched.values() if w.status is None or not w.status.final]
            if not waiting or any(w.status is None for w in waiting):
                return 0.0
            interval = min(self._interval(w, now) for w in waiting)
        return shared.last_poll + interval - now

    def _interval(self, entry: _Watched, now: float) -> float:
        interval = min(max((now - entry.since) * _PATIENCE, self._first), LONGEST_S)
        end = entry.status.expected_end if entry.status else None
        if end is not None:
            until = end.timestamp() - self._clock.time()
            interval = max(min(interval, until), self._first)
        return interval

    def _poll(self, shared: _Shared) -> None:
        with shared.changed:
            refs = [r for r, w in shared.watched.items() if w.status is None or not w.status.final]
        statuses = ask(self._backend, refs) if refs else []
        now = self._clock.monotonic()
        with shared.changed:
            shared.last_poll = now
            for status in statuses:
                entry = shared.watched.get(status.ref)
                if entry is None:
                    continue
                if entry.status is None or entry.status.state is not status.state:
                    entry.since = now
                entry.status = status
            shared.round += 1
            shared.changed.notify_all()


def ask(backend: Backend, refs: Sequence[Ref]) -> list[Status]:
    """One round; what cannot be asked is UNKNOWN, never an end."""
    try:
        return backend.statuses(refs)
    except UnavailableError as e:
        cause = Cause(Reason.UNREACHABLE, e.message, e.next_step)
        return [Status(ref=ref, state=State.UNKNOWN, reason=cause) for ref in refs]
