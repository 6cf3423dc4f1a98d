"""The verbs that give what a workload wrote: as lines, or as bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from gpujobs._session import Session, to_ref
from gpujobs.backend import LogQuery, SupportsLogBytes
from gpujobs.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from gpujobs.backend import Backend
    from gpujobs.job import RefLike
    from gpujobs.refs import Ref
    from gpujobs.results import LogLine

_T = TypeVar("_T")


class LogVerbs:
    """``logs`` and ``log_bytes``."""

    _session: Session

    def logs(
        self,
        ref: RefLike,
        *,
        follow: bool = False,
        tail: int | None = None,
        replica: int | None = None,
        attempt: int | None = None,
        since: datetime | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[LogLine]:
        """The lines that a workload wrote; with ``follow`` until it has ended.

        Raises:
            NotFoundError: There is no such workload.
            SpecError: ``tail`` is negative.
        """
        query = LogQuery(follow=follow, tail=_checked(tail), replica=replica, attempt=attempt, since=since)
        return _read(self._session, to_ref(ref), _stopped_by(query, stop), _lines)

    def log_bytes(
        self,
        ref: RefLike,
        *,
        follow: bool = False,
        tail: int | None = None,
        replica: int | None = None,
        attempt: int | None = None,
        since: datetime | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[bytes | LogLine]:
        """The bytes of the same lines, in pieces of any size as they come: for who passes a log on.

        What is missing is told in its place: the only LogLines among the bytes are gaps. Where the log lies in files,
        nothing is done per line; elsewhere a piece is a line.

        Raises:
            NotFoundError: There is no such workload.
            SpecError: ``tail`` is negative.
        """
        query = LogQuery(follow=follow, tail=_checked(tail), replica=replica, attempt=attempt, since=since)
        return _read(self._session, to_ref(ref), _stopped_by(query, stop), _pieces)


def _checked(tail: int | None) -> int | None:
    if tail is not None and tail < 0:
        raise SpecError(f"tail={tail}: the number of lines cannot be negative.", next_step="Give 0 or more.")
    return tail


def _stopped_by(query: LogQuery, stop: Callable[[], bool] | None) -> LogQuery:
    return query if stop is None else replace(query, stop=stop)


def _lines(backend: Backend, ref: Ref, query: LogQuery) -> Iterator[LogLine]:
    return backend.logs(ref, query)


def _pieces(backend: Backend, ref: Ref, query: LogQuery) -> Iterator[bytes | LogLine]:
    if isinstance(backend, SupportsLogBytes):
        return backend.log_bytes(ref, query)
    return (line if line.gap else line.raw for line in backend.logs(ref, query))


def _read(
    session: Session, ref: Ref, query: LogQuery, ask: Callable[[Backend, Ref, LogQuery], Iterator[_T]]
) -> Iterator[_T]:
    """What the backend gives; a follower learns of the end from the shared poller, not by asking on its own."""
    backend = session.of(ref)
    if not query.follow:
        yield from ask(backend, ref, query)
        return
    poller = session.poller(ref.target)

    def ended() -> bool:
        status = poller.latest(ref)
        if status is None or not status.final:
            poller.glance()
            status = poller.latest(ref)
        return status is not None and status.final

    with poller.watching([ref]):
        yield from ask(backend, ref, replace(query, ended=ended))
