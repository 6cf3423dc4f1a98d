"""Trying again: only what is marked for it, not for ever, and as late as the system asks."""

from __future__ import annotations

import pytest

from gpujobs import AuthError, BackendError, RejectedError, UnavailableError
from gpujobs._retry import ATTEMPTS, LONGEST_S, retrying
from gpujobs.testing import ManualClock


class Call:
    """Fails a number of times, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.left = list(errors)
        self.times = 0

    def __call__(self) -> str:
        """Raise the next error, or answer."""
        self.times += 1
        if self.left:
            raise self.left.pop(0)
        return "answer"


def test_what_could_not_be_asked_is_asked_again() -> None:
    """Three failures, then the answer; time passes between the tries."""
    clock = ManualClock()
    began = clock.monotonic()
    call = Call(*[UnavailableError("down")] * (ATTEMPTS - 1))
    assert retrying(call, clock) == "answer"
    assert (call.times, clock.monotonic() > began) == (ATTEMPTS, True)


def test_it_gives_up_with_the_last_error() -> None:
    """After so many attempts, within the longest time."""
    clock = ManualClock()
    began = clock.monotonic()
    call = Call(*[UnavailableError(f"down {i}") for i in range(99)])
    with pytest.raises(UnavailableError, match=f"down {ATTEMPTS - 1}"):
        retrying(call, clock)
    assert call.times == ATTEMPTS
    assert clock.monotonic() - began <= 2 * LONGEST_S


@pytest.mark.parametrize("error", [RejectedError("no"), AuthError("who?"), BackendError("odd"), ValueError("bug")])
def test_nothing_else_is_tried_again(error: Exception) -> None:
    """A refusal is an answer."""
    call = Call(error)
    with pytest.raises(type(error)):
        retrying(call, ManualClock())
    assert call.times == 1


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (3600.0, LONGEST_S)])
def test_the_system_says_how_long_to_wait(asked: float, waited: float) -> None:
    """``retry_after`` is obeyed, up to the longest time."""
    clock = ManualClock()
    began = clock.monotonic()
    retrying(Call(UnavailableError("busy", retry_after=asked)), clock)
    assert clock.monotonic() - began == waited


def test_a_slow_call_ends_the_trying() -> None:
    """Attempts that each hang for long are not repeated four times."""
    clock = ManualClock()
    call = Call(*[UnavailableError("timed out")] * 9)

    def slow() -> str:
        clock.advance(LONGEST_S)
        return call()

    with pytest.raises(UnavailableError):
        retrying(slow, clock)
    assert call.times == 1
