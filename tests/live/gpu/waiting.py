"""Waiting until something is so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs import Job


def until(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never was"
        time.sleep(0.1)


def says(job: Job, text: str) -> Callable[[], bool]:
    """Whether a line of the job's log is that text."""
    return lambda: text in [line.text for line in job.logs()]
