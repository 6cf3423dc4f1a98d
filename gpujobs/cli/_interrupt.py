"""What an interrupt means while a submission is on its way."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpujobs.cli import _output as output

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

    from gpujobs.cli._context import App


@contextmanager
def leaving_open(app: App) -> Generator[None]:
    """A submission that is interrupted may have been taken: say which key settles it."""
    began = time.time()

    def stop(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        for entry in app.client.open_submissions():
            if entry.began_at >= began:
                output.note(f"it is not known whether it was taken; settle it: gpujobs submit --resume {entry.key}")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
