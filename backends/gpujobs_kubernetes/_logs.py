"""Reading the logs of a workload as they are now; following them is in ``_follow``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.errors import GpuJobsError, NotFoundError, RejectedError
from gpujobs_kubernetes._api import PODS, path
from gpujobs_kubernetes._loglines import Cursor, gap
from gpujobs_kubernetes._pod import CONTAINER
from gpujobs_kubernetes._sources import begun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from gpujobs.results import LogLine
    from gpujobs_kubernetes._api import Api, Query
    from gpujobs_kubernetes._loglines import Source
    from gpujobs_kubernetes._views import PodView

READ_S = 60.0
_TOGETHER = 1 << 15
_WAITING = "waiting to start"
_UNSURE = "unable to retrieve container logs"
_GONE = ("not found", _UNSURE, "previous terminated container")


def question(cursor: Cursor, *, follow: bool, tail: int | None = None, since: datetime | None = None) -> Query:
    """The query of one connection to a container's log."""
    start = cursor.begin()
    query = {"container": CONTAINER, "timestamps": "true"}
    if follow:
        query["follow"] = "true"
    if cursor.source.previous:
        query["previous"] = "true"
    if start is not None:
        query["sinceTime"] = start
    elif tail is not None:
        query["tailLines"] = str(tail)
    elif since is not None:
        query["sinceTime"] = since.astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")
        query["sinceTime"] = f"{query['sinceTime'][:-2]}:{query['sinceTime'][-2:]}"
    return query


def snapshot(
    api: Api, cursor: Cursor, *, tail: int | None = None, since: datetime | None = None, final: bool = True
) -> Iterator[LogLine]:
    """What a container's log holds now, from the cursor on; ``final``: the last line need not be finished.

    Raises:
        UnavailableError: The log cannot be had at the moment.
    """
    source = cursor.source
    query = question(cursor, follow=False, tail=tail, since=since)
    with api.stream(path(PODS, source.namespace, source.pod, "log"), query, read_timeout=READ_S) as response:
        for data in _together(api.pieces(response)):
            yield from written_since(cursor.feed(data), since)
        if final:
            yield from written_since(cursor.finish(), since)


def _together(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Hundreds of small pieces as one, which makes lines of them cheaper; nothing is held back from an error."""
    held: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size >= _TOGETHER:
                yield b"".join(held)
                held, size = [], 0
    except GpuJobsError:
        yield b"".join(held)
        raise
    yield b"".join(held)


def written_since(lines: list[LogLine], since: datetime | None) -> list[LogLine]:
    """Those that were not written before."""
    return lines if since is None else [line for line in lines if line.time is None or line.time >= since]


def read_now(
    api: Api, sources: Sequence[tuple[Source, PodView]], *, tail: int | None, since: datetime | None
) -> Iterator[LogLine]:
    """All logs, one after the other; of each copy only the last ``tail`` lines."""
    if tail is not None:
        yield from _tails(api, sources, tail, since)
        return
    for source, pod in sources:
        if begun(pod):
            yield from _readable(api, Cursor(source), pod, since=since)


def _tails(api: Api, sources: Sequence[tuple[Source, PodView]], tail: int, since: datetime | None) -> Iterator[LogLine]:
    """The last lines of each copy: from its newest attempt, then those before it as far as lines are wanted."""
    copies: dict[int, list[list[LogLine]]] = {}
    left: dict[int, int] = {}
    for source, pod in reversed(sources):
        wanted = left.get(source.replica, tail)
        if wanted > 0 and begun(pod):
            lines = list(_readable(api, Cursor(source), pod, tail=wanted, since=since))[-wanted:]
            left[source.replica] = wanted - len(lines)
            copies.setdefault(source.replica, []).append(lines)
    for _, attempts in sorted(copies.items()):
        for lines in reversed(attempts):
            yield from lines


def _readable(
    api: Api, cursor: Cursor, pod: PodView, *, tail: int | None = None, since: datetime | None = None
) -> Iterator[LogLine]:
    try:
        yield from snapshot(api, cursor, tail=tail, since=since)
    except GpuJobsError as e:
        if not _not_yet(e):
            yield unreadable(cursor, pod, e)


def _not_yet(error: GpuJobsError) -> bool:
    return isinstance(error, RejectedError) and _WAITING in error.message


def is_gone(error: GpuJobsError) -> bool:
    """Whether the log will never be had: its pod, or the file under it, is not there any more."""
    return isinstance(error, NotFoundError) or (
        isinstance(error, RejectedError) and any(words in error.message for words in _GONE)
    )


def is_unsure(error: GpuJobsError) -> bool:
    """Whether the log may only seem to be gone: a kubelet that cannot reach its runtime says the same."""
    return isinstance(error, RejectedError) and _UNSURE in error.message


def unreadable(cursor: Cursor, pod: PodView, error: GpuJobsError) -> LogLine:
    """The marked gap of a log that cannot be read to its end."""
    what = "The rest of its log" if cursor.stamp else "Its log"
    if is_gone(error):
        return gap(cursor.source, f"{what} is gone with its pod {pod.name} on {pod.node or 'no node'}.")
    return gap(cursor.source, f"{what} cannot be read from the node {pod.node}: {error.message}")
