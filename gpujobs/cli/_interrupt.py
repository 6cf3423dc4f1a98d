"""Signals: who handles them for a while, and what one means while a submission is on its way."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpujobs.cli import _output as output

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from gpujobs.cli._context import App


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
