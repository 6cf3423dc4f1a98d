"""The one place where anything is tried again, and only what is marked retryable: UnavailableError."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gpujobs.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from gpujobs.backend import Clock

T = TypeVar("T")

ATTEMPTS = 4
LONGEST_S = 30.0
_FIRST_WAIT_S = 0.5


def retrying(call: Callable[[], T], clock: Clock) -> T:
    """Call until it does not raise UnavailableError, at most ``ATTEMPTS`` times and about ``LONGEST_S`` seconds.

    Every call that goes through here is safe to repeat: it only reads, or it carries an idempotency key. Where the
    system says how long to wait (``retry_after``) it is obeyed.

    Raises:
        UnavailableError: The last one.
    """
    began = clock.monotonic()
    try:
        return call()
    except UnavailableError as e:
        failures = [e]
    import tenacity  # noqa: PLC0415  # costs more than most calls, and most succeed at once

    def again() -> T:
        if failures:
            raise failures.pop()
        return call()

    backoff = tenacity.wait_random_exponential(multiplier=_FIRST_WAIT_S, max=LONGEST_S / 3)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, UnavailableError) else None
        return backoff(state) if asked is None else min(asked, LONGEST_S)

    retry = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(UnavailableError),
        stop=lambda state: state.attempt_number >= ATTEMPTS or clock.monotonic() - began >= LONGEST_S,
        wait=wait,
        sleep=clock.sleep,
        reraise=True,
    )
    return retry(again)
