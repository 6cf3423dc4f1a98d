"""The exit code that tells how a workload ended."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from gpujobs.reasons import Reason
from gpujobs.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.states import Status

TIMED_OUT = 124
CANCELLED = 130
FAILED = 1
_SIGNALLED = 128
_TIMES = frozenset({Reason.TIMEOUT, Reason.DEADLINE})


def exit_code(status: Status) -> int:
    """As coreutils' ``timeout`` and a shell would say it; a failure is never 0."""
    if status.succeeded:
        return 0
    if status.state is State.CANCELLED:
        return CANCELLED
    if status.reason is not None and status.reason.code in _TIMES:
        return TIMED_OUT
    if status.signal is not None:
        return _SIGNALLED + status.signal
    return status.exit_code or FAILED


def exit_code_of_all(statuses: Sequence[Status]) -> int:
    """One workload tells its own; of several, 0 only if all succeeded."""
    if len(statuses) == 1:
        return exit_code(statuses[0])
    return 0 if all(s.succeeded for s in statuses) else FAILED


def describe_signal(number: int) -> str:
    """``signal 9 (SIGKILL)``."""
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
