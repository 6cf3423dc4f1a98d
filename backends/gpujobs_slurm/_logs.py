"""The log files of a job, read here or on the login node; the scheduler is never asked for a line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gpujobs.errors import NotFoundError, UnavailableError
from gpujobs.logfiles import Files, LocalFiles, LogFile, Piece, read_log_bytes, read_logs
from gpujobs_slurm._record import Record, split_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gpujobs.backend import Clock, LogQuery
    from gpujobs.refs import Ref
    from gpujobs.results import LogLine
    from gpujobs_slurm._transport import Transport

_LISTING_S = 1.0
"""How often a follower on another machine looks for new files."""
_LONG_POLL_S = 0.5
_SHORT_S = 0.05


class RemoteFiles:
    """Files of the login node: one read is one round trip, and one that has nothing new waits there for it."""

    def __init__(self, transport: Transport, clock: Clock, *, follow: bool) -> None:
        self._transport = transport
        self._clock = clock
        self._follow = follow
        self._wait = 0.0
        self._inodes: dict[Path, int] = {}

    def patient(self, *, alone: bool) -> None:
        """Let reads wait for more; only where a single file is followed, or the others would wait, too."""
        self._wait = _LONG_POLL_S if alone else 0.0

    def read(self, path: Path, offset: int, limit: int) -> Piece | None:
        """As :class:`gpujobs.logfiles.Files` says."""
        try:
            found = self._transport.call("read_at", str(path), offset, limit, self._wait)
        except UnavailableError:
            if not self._follow or path not in self._inodes:
                raise
            # A follower goes on at the same byte once the connection is there again.
            self._clock.sleep(_LISTING_S)
            return Piece(self._inodes[path], offset, b"")
        if found is None:
            return None
        self._inodes[path] = found["inode"]
        return Piece(found["inode"], found["size"], found["data"])

    def tail(self, path: Path, lines: int) -> tuple[int, int]:
        """As :class:`gpujobs.logfiles.Files` says."""
        offset, count = self._transport.call("tail_at", str(path), lines)
        return int(offset), int(count)


class _Source(NamedTuple):
    """What of a job is read, and how."""

    find: Callable[[], list[LogFile]]
    files: Files
    sleep: Callable[[float], None]
    alone: bool
    """Whether it is the log of one replica."""


class LogReader:
    """Reads the logs of one target."""

    def __init__(self, transport: Transport, root: Callable[[], str], clock: Clock) -> None:
        self._transport = transport
        self._root = root
        self._clock = clock

    def read(self, ref: Ref, query: LogQuery) -> Iterator[LogLine]:
        """The lines of a job.

        Raises:
            NotFoundError: There is no record of it.
        """
        source = self._source(ref, query)
        return read_logs(source.find, query, sleep=source.sleep, files=source.files)

    def read_bytes(self, ref: Ref, query: LogQuery) -> Iterator[bytes | LogLine]:
        """The bytes of a job.

        Raises:
            NotFoundError: There is no record of it.
        """
        source = self._source(ref, query)
        return read_log_bytes(source.find, query, alone=source.alone, sleep=source.sleep, files=source.files)

    def _source(self, ref: Ref, query: LogQuery) -> _Source:
        record, index = self._record(ref)
        nodes = int(record.claim.get("nodes") or 1)
        alone = query.replica is not None or (nodes == 1 and (index is not None or record.size is None))
        if not self._transport.remote:
            return _Source(self._finder(record, index, query, None), LocalFiles(), self._clock.sleep, alone)
        remote = RemoteFiles(self._transport, self._clock, follow=query.follow)
        find = self._finder(record, index, query, remote)
        return _Source(find, remote, self._nap, alone)

    def _nap(self, seconds: float) -> None:
        """The wait for more is over there."""
        self._clock.sleep(min(seconds, _SHORT_S))

    def _record(self, ref: Ref) -> tuple[Record, int | None]:
        part = split_id(ref.id)
        found: dict[str, Any] = self._transport.call("read_ids", self._root(), [part[0]]) if part else {}
        name = found["of"].get(part[0]) if part else None
        if part is None or name is None or name not in found["records"]:
            raise NotFoundError(
                f"There is no record of {ref}.", next_step="`gpujobs ps --all` shows the jobs that gpujobs submitted."
            )
        return Record(found["records"][name]), part[1]

    def _list(self, record: Record, query: LogQuery) -> list[list[Any]] | None:
        """The files there are; None where a follower cannot look now."""
        try:
            return self._transport.call("log_files", self._root(), record.name) or []
        except UnavailableError:
            if not query.follow:
                raise
            self._clock.sleep(_LISTING_S)
            return None

    def _finder(
        self, record: Record, index: int | None, query: LogQuery, remote: RemoteFiles | None
    ) -> Callable[[], list[LogFile]]:
        nodes = int(record.claim.get("nodes") or 1)
        looked: list[tuple[float, list[LogFile]]] = []

        def find() -> list[LogFile]:
            now = self._clock.monotonic()
            if (
                remote
                and looked
                and looked[-1][1]
                and query.follow
                and now - looked[-1][0] < _LISTING_S
                and not query.ended()
            ):
                return looked[-1][1]
            listed = self._list(record, query)
            if listed is None:
                return looked[-1][1] if looked else []
            files = [f for f in (_file(e, record, index, nodes) for e in listed if e[4] != "slurm") if f]
            if not files and (not query.follow or query.ended()):
                files = [f for f in (_file(e, record, index, nodes) for e in listed) if f]
            if remote:
                remote.patient(alone=len(files) == 1 and query.follow and not query.ended())
            looked[:] = [(now, files)]
            return files

        return find


def _file(entry: list[Any], record: Record, index: int | None, nodes: int) -> LogFile | None:
    path, element, rank, attempt, stream = entry
    if index is not None and element != index:
        return None
    replica = rank if element < 0 or record.bulk else element * nodes + rank
    kinds: dict[str, Literal["stdout", "stderr"]] = {"stdout": "stdout", "stderr": "stderr"}
    return LogFile(Path(path), replica, attempt, kinds.get(stream))


__all__ = ["LogReader", "RemoteFiles"]
