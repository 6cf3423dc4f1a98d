"""Following the logs of all pods at once: a thread per log, up to a limit; beyond it logs are read in turns.

A connection that ends says nothing about the log: the kubelet, the API server and idle links end connections too. So a
reader goes on from its cursor until Kubernetes says that the container has ended, and then reads what is left.

The threads only carry bytes, one connection each; lines are made of them, and everything is decided, where they are
taken. So a cursor belongs to the thread until its connection has begun, and then to whoever takes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gpujobs.errors import GpuJobsError
from gpujobs_kubernetes._api import PODS, hang_up, path
from gpujobs_kubernetes._inbox import Inbox
from gpujobs_kubernetes._loglines import Cursor, Source
from gpujobs_kubernetes._logs import READ_S, is_gone, is_unsure, question, snapshot, unreadable, written_since
from gpujobs_kubernetes._sources import begun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gpujobs.backend import Clock, LogQuery
    from gpujobs.results import LogLine
    from gpujobs_kubernetes._api import Api
    from gpujobs_kubernetes._views import PodView

MOST_STREAMS = 128
"""More logs than this of one workload are read in turns: a thread and a connection each must have an end."""
_TURN_S = 1.0
"""Those are read one a second, whatever their number, and once more when they have ended."""
_TICK_S = 0.1
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_LAST_PATIENCE_S = 10.0
"""How long a log may be out of reach, of a workload that has ended, before the rest of it is given up as a gap."""


@dataclass(eq=False, slots=True)
class _Reader:
    """One log that is being followed."""

    cursor: Cursor
    pod: PodView
    done: bool = False
    streaming: bool = False
    read_at: float = float("-inf")
    troubled: float | None = None
    """Since when every try to read it has failed."""
    began: bytes = b""
    """The newest stamp as the connection began."""
    pause: float = 0.0
    """Seconds until the next connection."""
    response: Any = None


@dataclass(frozen=True, slots=True)
class _End:
    """How a connection ended.

    Attributes:
        over: The container had ended before: there is nothing to come.
        opened: The log was to be had at all.
    """

    trouble: GpuJobsError | None
    over: bool
    opened: bool


class Follower:
    """Merges what many logs give, as it comes."""

    def __init__(
        self,
        api: Api,
        clock: Clock,
        query: LogQuery,
        look: Callable[[bool], list[tuple[Source, PodView]]],
        *,
        most: int = MOST_STREAMS,
    ) -> None:
        self._most = most
        self._api = api
        self._clock = clock
        self._query = query
        self._look = look
        self._readers: dict[tuple[str, int], _Reader] = {}
        self._inbox: Inbox[_Reader, _End] = Inbox()
        self._stop = threading.Event()
        self._closing = False
        self._turned = float("-inf")

    def lines(self) -> Iterator[LogLine]:
        """Every line, until the workload has ended and all is read, or the caller says stop."""
        try:
            if self._query.tail is not None:
                yield from self._last_lines(self._query.tail)
            while not self._query.stop():
                self._take_up(fresh=False)
                yield from self._next()
                if self._query.ended():
                    break
            yield from self._rest()
        finally:
            self._stop.set()
            self._inbox.close()
            for reader in self._readers.values():
                if reader.response is not None:
                    hang_up(reader.response)

    def _rest(self) -> Iterator[LogLine]:
        """After the end: pods that came and went unseen, and what every log still holds."""
        self._closing = True
        self._take_up(fresh=True)
        while not self._query.stop() and not all(r.done for r in self._readers.values()):
            yield from self._next()
            self._take_up(fresh=False)

    def _take_up(self, *, fresh: bool) -> None:
        """Adopt the logs that have begun; as many as may are read by threads of their own."""
        for source, pod in self._look(fresh):
            key = (source.uid, source.attempt)
            reader = self._readers.get(key)
            if reader is None:
                if not begun(pod):
                    continue
                reader = self._readers[key] = _Reader(Cursor(replace(source, previous=False)), pod)
            reader.pod = pod
        streaming = sum(r.streaming for r in self._readers.values())
        for reader in self._readers.values():
            if not (reader.streaming or reader.done) and streaming < self._most:
                reader.streaming = True
                streaming += 1
                self._connect(reader)

    def _next(self) -> Iterator[LogLine]:
        """What has come within a moment; then one turn of the logs that have no thread."""
        for reader, data, end in self._inbox.take(_TICK_S):
            lines = reader.cursor.feed(data)
            yield from written_since(lines if end is None else lines + self._ended(reader, end), self._query.since)
        for reader in self._due():
            yield from self._turn(reader)

    def _due(self) -> list[_Reader]:
        """Of the logs that have no thread: all that have ended, else the one that was read longest ago."""
        now = self._clock.monotonic()
        waiting = [r for r in self._readers.values() if not (r.streaming or r.done) and now - r.read_at >= _TURN_S]
        ended = [r for r in waiting if _over(r)]
        if ended or not waiting or now - self._turned < _TURN_S:
            return ended
        self._turned = now
        return [min(waiting, key=lambda r: r.read_at)]

    def _turn(self, reader: _Reader) -> Iterator[LogLine]:
        over = _over(reader)
        reader.read_at = self._clock.monotonic()
        try:
            yield from snapshot(self._api, reader.cursor, since=self._query.since, final=over)
            reader.troubled = None
        except GpuJobsError as e:
            over = self._hopeless(reader, e)
            if over:
                yield unreadable(reader.cursor, reader.pod, e)
        reader.done = over

    def _last_lines(self, tail: int) -> Iterator[LogLine]:
        """The last lines there are; the cursors then stand behind them."""
        sources = [(s, p) for s, p in self._look(True) if begun(p)]
        kept: list[tuple[int, int, list[LogLine]]] = []
        left: dict[int, int] = {}
        for source, pod in reversed(sources):
            reader = self._readers[source.uid, source.attempt] = _Reader(Cursor(replace(source, previous=False)), pod)
            wanted = left.get(source.replica, tail)
            lines: list[LogLine] = []
            try:
                # Of the newest attempt one line at least is read, for the cursor to know where to go on.
                asked = max(wanted, 1)
                lines = list(
                    snapshot(self._api, reader.cursor, tail=asked, since=self._query.since, final=_over(reader))
                )
                lines = lines[len(lines) - min(wanted, len(lines)) :]
            except GpuJobsError as e:
                if is_gone(e):
                    lines = [unreadable(reader.cursor, pod, e)]
            left[source.replica] = wanted - len(lines)
            reader.done = _over(reader)
            kept.append((source.replica, source.attempt, lines))
        for _, _, lines in sorted(kept, key=lambda k: k[:2]):
            yield from lines

    def _ended(self, reader: _Reader, end: _End) -> list[LogLine]:
        """What there is to say at the end of a connection; unless it was the last, the next one begins."""
        cursor = reader.cursor
        moved = cursor.stamp != reader.began
        if end.opened:
            cursor.cut = end.trouble is not None
        if end.trouble is None or moved:
            reader.troubled = None
        lines: list[LogLine] = []
        if end.trouble is None:
            reader.done = end.over
            lines += cursor.finish() if end.over else []
        elif self._hopeless(reader, end.trouble):
            reader.done = True
            gone = self._gone_cleanly(reader, end.trouble)
            lines += [] if gone else [unreadable(cursor, reader.pod, end.trouble)]
        reader.streaming = not reader.done
        if reader.streaming:
            reader.pause = _FIRST_PAUSE_S if moved else min(max(2 * reader.pause, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self._connect(reader)
        return lines

    def _hopeless(self, reader: _Reader, trouble: GpuJobsError) -> bool:
        """Whether the rest of a log will never be had: its pod is gone, or it was out of reach for too long."""
        now = self._clock.monotonic()
        reader.troubled = now if reader.troubled is None else reader.troubled
        if is_gone(trouble) and not is_unsure(trouble):
            return True
        lasting = now - reader.troubled > _LAST_PATIENCE_S
        return lasting and (is_unsure(trouble) or self._closing)

    def _gone_cleanly(self, reader: _Reader, trouble: GpuJobsError) -> bool:
        """A pod that was removed right after its log had ended by itself: nothing is missing."""
        return is_gone(trouble) and not is_unsure(trouble) and reader.cursor.stamp != b"" and not reader.cursor.cut

    def _connect(self, reader: _Reader) -> None:
        reader.began = reader.cursor.stamp
        name = f"gpujobs-log-{reader.pod.name}"
        threading.Thread(target=self._run, args=(reader,), name=name, daemon=True).start()

    def _run(self, reader: _Reader) -> None:
        """In a thread: one connection, from its beginning to its end."""
        if self._stop.wait(reader.pause):
            return
        over, opened, trouble = _over(reader), False, None
        cursor = reader.cursor
        cursor.source = replace(
            cursor.source, previous=reader.pod.restarts > cursor.source.attempt >= 0 and _service(reader)
        )
        query = question(cursor, follow=not over, since=self._query.since)
        where = path(PODS, cursor.source.namespace, cursor.source.pod, "log")
        try:
            with self._api.stream(where, query, read_timeout=READ_S) as response:
                reader.response, opened = response, True
                if self._stop.is_set():
                    return  # nobody hangs up a connection that has only just begun
                for data in self._api.pieces(response):
                    if not self._inbox.put(reader, data):
                        return
        except GpuJobsError as e:
            trouble = e
        except (AttributeError, ValueError):
            # What http.client raises when its socket is closed under it, at the end of following.
            if not self._stop.is_set():
                raise
        self._inbox.end(reader, _End(trouble, over, opened))


def _service(reader: _Reader) -> bool:
    """Whether its containers are started again in place: only then is a restart another attempt."""
    return reader.pod.job_uid == ""


def _over(reader: _Reader) -> bool:
    """Whether Kubernetes says that this attempt has ended."""
    pod = reader.pod
    return pod.over or pod.exit_code is not None or (_service(reader) and pod.restarts > reader.cursor.source.attempt)
