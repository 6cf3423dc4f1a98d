"""Waiting for ends and for readiness."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

from gpujobs.errors import GpuJobsError, JobFailedError, WaitTimeoutError
from gpujobs.states import State, Status
from gpujobs.units import parse_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs._fields import Span
    from gpujobs._poll import Poller
    from gpujobs._session import Session
    from gpujobs.refs import Ref


_SHOWN = 4
"""Of the errors of a bulk call so many are told beside the first."""


class _Patience:
    """How long to wait, and how long to bear not being able to ask."""

    def __init__(self, session: Session, timeout: Span | None, unknown_timeout: Span | None) -> None:
        self._now = session.clock.monotonic
        left = None if timeout is None else parse_wait(timeout)
        self._deadline = None if left is None else self._now() + left
        self._unknown_timeout = None if unknown_timeout is None else parse_wait(unknown_timeout)
        self._unknown_since: float | None = None

    def left(self) -> float | None:
        return None if self._deadline is None else self._deadline - self._now()

    def check(self, statuses: Sequence[Status]) -> None:
        """Raises WaitTimeoutError once one of the two is used up."""
        left = self.left()
        if left is not None and left <= 0:
            raise WaitTimeoutError(_still(statuses), next_step="It goes on: wait again, or look with explain.")
        unknown = [s for s in statuses if s.state is State.UNKNOWN]
        if not unknown:
            self._unknown_since = None
            return
        if self._unknown_since is None:
            self._unknown_since = self._now()
        if self._unknown_timeout is not None and self._now() - self._unknown_since >= self._unknown_timeout:
            cause = unknown[0].reason
            raise WaitTimeoutError(
                f"{unknown[0].ref} could not be asked for {self._unknown_timeout:g} s"
                + (f": {cause.message}" if cause else "."),
                next_step=cause.next if cause else "",
            )


def _still(statuses: Sequence[Status]) -> str:
    open_ = [s for s in statuses if not s.final]
    first = open_[0]
    why = f" ({first.reason.message})" if first.reason else ""
    more = f" and {len(open_) - 1} more" if len(open_) > 1 else ""
    return f"The time to wait has passed; {first.ref} is still {first.state}{why}{more}."


def wait(
    session: Session,
    refs: Sequence[Ref],
    *,
    timeout: Span | None,
    unknown_timeout: Span | None,
    until: Literal["all", "first"],
    on_status: Callable[[Sequence[Status]], None] | None = None,
) -> list[Status]:
    """Block until all refs, or the first of them, have ended; the statuses, one per ref, in order. None: at once."""
    if not refs:
        return []

    def enough(statuses: Sequence[Status]) -> bool:
        ended = [s.final for s in statuses]
        return any(ended) if until == "first" else all(ended)

    return _wait_for(session, refs, enough, _Patience(session, timeout, unknown_timeout), on_status)


def wait_ready(session: Session, ref: Ref, *, timeout: Span | None) -> Status:
    """Block until every copy of a service is ready and none of a former definition is left.

    Raises:
        WaitTimeoutError: Not in time; the message says why not.
        JobFailedError: It ended instead.
    """

    def ready(statuses: Sequence[Status]) -> bool:
        status = statuses[0]
        if status.final:
            raise JobFailedError(status)
        if status.state is State.UNKNOWN:
            return False
        counts = status.replicas
        return counts.ready >= counts.wanted and counts.running <= counts.wanted and counts.outdated == 0

    return _wait_for(session, [ref], ready, _Patience(session, timeout, None), None)[0]


def _wait_for(
    session: Session,
    refs: Sequence[Ref],
    enough: Callable[[Sequence[Status]], bool],
    patience: _Patience,
    on_status: Callable[[Sequence[Status]], None] | None,
) -> list[Status]:
    groups = session.by_target(refs)
    pollers = {target: session.poller(target) for target in groups}
    turn = 0
    with ExitStack() as stack:
        for target, group in groups.items():
            stack.enter_context(pollers[target].watching(group))
        while True:
            statuses = _latest(pollers, refs)
            if statuses:
                if on_status:
                    on_status(statuses)
                if enough(statuses):
                    return statuses
                patience.check(statuses)
            turn = _one_round(pollers, refs, patience.left(), turn)


def _latest(pollers: dict[str, Poller], refs: Sequence[Ref]) -> list[Status]:
    """The newest status of each ref, or nothing while one has none yet."""
    statuses: list[Status] = []
    for ref in refs:
        status = pollers[ref.target].latest(ref)
        if status is None:
            return []
        statuses.append(status)
    return statuses


def _one_round(pollers: dict[str, Poller], refs: Sequence[Ref], left: float | None, turn: int) -> int:
    """Wait at one target for news; with several, take turns so that none starves."""
    open_targets = [
        target
        for target, poller in pollers.items()
        if any((s := poller.latest(r)) is None or not s.final for r in refs if r.target == target)
    ] or list(pollers)
    target = open_targets[turn % len(open_targets)]
    limit = left if len(open_targets) == 1 else min(0.5, left if left is not None else 0.5)
    pollers[target].next_round(limit)
    return turn + 1


def raise_first(errors: Sequence[GpuJobsError | None]) -> None:
    """Raise the first error of a bulk call, which then tells of the others; the rest was done all the same.

    Raises:
        GpuJobsError: The first there is.
    """
    found = [error for error in errors if error is not None]
    if not found:
        return
    first, others = found[0], found[1:]
    if others:
        shown = " ".join(error.message for error in others[:_SHOWN])
        more = f" And {len(others) - _SHOWN} more." if len(others) > _SHOWN else ""
        first.message = f"{first.message} {shown}{more}"
    raise first
