"""Signals: who handles them for a while, and what one means while a submission is on its way."""

from __future__ import annotations

import queue
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from gpujobs.cli import _output as output

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from gpujobs.cli._context import App

_T = TypeVar("_T")
SLICE_S = 0.2
"""The main thread blocks no longer at a time: a signal that comes just before it blocks is handled only after it."""


def next_of(events: queue.SimpleQueue[_T]) -> _T:
    """The next event, however long it takes; signals are handled meanwhile."""
    while True:
        with suppress(queue.Empty):
            return events.get(timeout=SLICE_S)


@contextmanager
def handling(handler: Callable[[int, FrameType | None], None], *numbers: signal.Signals) -> Generator[None]:
    """Give these signals to a handler; outside the main thread, where Python has none, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _stop(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


@contextmanager
def leaving_open(app: App) -> Generator[None]:
    """A submission that is interrupted may have been taken: say which key settles it."""
    began = time.time()
    with handling(_stop, signal.SIGTERM):
        try:
            yield
        except KeyboardInterrupt:
            for entry in app.client.open_submissions():
                if entry.began_at >= began:
                    output.note(f"it is not known whether it was taken; settle it: gpujobs submit --resume {entry.key}")
            raise
