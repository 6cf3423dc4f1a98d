"""Reading log files that only grow: for backends whose workloads write into files of this machine.

:func:`read_logs` is a whole ``Backend.logs``: it reads any number of files (one per replica and attempt), finds those
that appear later, follows them by offset, and gives every line once. Nothing is kept but each file's unfinished line.
:func:`read_log_bytes` is a whole ``SupportsLogBytes.log_bytes``: the same files, and nothing is made of their bytes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from gpujobs._loglines import Cutter, LineSplitter, Uncut, lines_of
from gpujobs._logsource import CHUNK, LOCAL_FILES, Files, LocalFiles, Piece, tail_offset
from gpujobs.results import LogLine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

    from gpujobs.backend import LogQuery

__all__ = [
    "Files",
    "LineSplitter",
    "LocalFiles",
    "LogFile",
    "LogTail",
    "Piece",
    "read_log_bytes",
    "read_logs",
    "tail_offset",
]

_T = TypeVar("_T")

POLL = 0.05
"""Seconds between two looks of a follower, for bytes and for files; more where one look takes over a tenth of it."""

_SLOWEST_POLL = 1.0
_WORK_SHARE = 10


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of a workload's output, and whose it is."""

    path: Path
    replica: int = 0
    attempt: int = 0
    stream: Literal["stdout", "stderr"] | None = None


class _Tail(Generic[_T]):
    """A place in one growing file; every :meth:`read` gives what came since the last one, as ``give`` makes it.

    It holds no descriptor between two reads. A file that shrank or was replaced gives one gap and is read from its
    start again.
    """

    def __init__(
        self, file: LogFile, offset: int, files: Files, *, cutter: Cutter, give: Callable[[list[bytes]], list[_T]]
    ) -> None:
        self.file = file
        self._files = files
        self.offset = offset
        self._cutter = cutter
        self._give = give
        self._inode: int | None = None
        self.moved = False
        """Whether the last read got anything, be it only a part of a line."""

    def read(self, limit: int = CHUNK) -> list[_T | LogLine]:
        """What is complete of the next ``limit`` bytes; empty when nothing new is there."""
        piece = self._files.read(self.file.path, self.offset, limit)
        if piece is None:
            return self._vanished()
        before = self._check(piece)
        data = piece.data
        if before:  # it starts anew, so what was read at the old offset is not what comes next
            again = self._files.read(self.file.path, 0, limit)
            data = again.data if again else b""
        self.offset += len(data)
        self.moved = bool(data or before)
        if not data and self._cutter.held_return:  # noqa: SIM108  # two lines read better than one long one
            # One look later nothing followed the \r: it ends the line (a progress bar), show it.
            pieces = self._cutter.flush()
        else:
            pieces = self._cutter.feed(data)
        return [*before, *self._give(pieces)]

    def finish(self) -> list[_T | LogLine]:
        """The unfinished last line, once nothing more can come."""
        return [*self._give(self._cutter.flush())]

    def _check(self, piece: Piece) -> list[_T | LogLine]:
        replaced = self._inode is not None and piece.inode != self._inode
        self._inode = piece.inode
        if not replaced and piece.size >= self.offset:
            return []
        what = "was replaced" if replaced else f"was cut from {self.offset} to {piece.size} bytes"
        self.offset = 0
        return [*self.finish(), self._gap(f"The log file {self.file.path} {what}; lines may be missing here.")]

    def _vanished(self) -> list[_T | LogLine]:
        self.moved = self._inode is not None
        if not self.moved:
            return []
        self._inode = None
        self.offset = 0
        return [*self.finish(), self._gap(f"The log file {self.file.path} was removed while it was read.")]

    def _gap(self, text: str) -> LogLine:
        return LogLine(text, replica=self.file.replica, attempt=self.file.attempt, stream=self.file.stream, gap=True)


class LogTail(_Tail[LogLine]):
    """A place in one growing file; every ``read`` gives the lines that were completed since the last one."""

    def __init__(self, file: LogFile, offset: int = 0, files: Files = LOCAL_FILES) -> None:
        super().__init__(file, offset, files, cutter=LineSplitter(), give=partial(lines_of, file))


class _BytesTail(_Tail[bytes]):
    """The same for bytes: as they were written, or, with ``whole_lines``, up to where a line ends."""

    def __init__(self, file: LogFile, offset: int, files: Files, *, whole_lines: bool) -> None:
        super().__init__(file, offset, files, cutter=LineSplitter() if whole_lines else Uncut(), give=_joined)


def _joined(pieces: list[bytes]) -> list[bytes]:
    return [b"".join(pieces)] if len(pieces) > 1 else pieces


def read_logs(
    find: Callable[[], Iterable[LogFile]],
    query: LogQuery,
    *,
    sleep: Callable[[float], None] = time.sleep,
    files: Files = LOCAL_FILES,
) -> Iterator[LogLine]:
    """Every line that ``query`` asks for, from all the files that ``find`` gives now and, when following, later.

    Without ``follow``: replica by replica, attempts oldest first. With it: as the lines come, a few of each file in
    turn, until ``query.ended()``; what is then left is drained, unfinished lines included.
    """
    return _Reading(find, query, lambda file, offset: LogTail(file, offset, files), files).all(sleep)


def read_log_bytes(
    find: Callable[[], Iterable[LogFile]],
    query: LogQuery,
    *,
    alone: bool,
    sleep: Callable[[float], None] = time.sleep,
    files: Files = LOCAL_FILES,
) -> Iterator[bytes | LogLine]:
    """The bytes of those lines as they come, in pieces that end anywhere; a gap is a LogLine.

    Where several write at once, be it stdout and stderr into files of their own, the pieces of a follower end on line
    ends, so that each line stays whole.

    Args:
        find: As for :func:`read_logs`.
        query: What is asked for.
        alone: Whether one replica is all that is read.
        sleep: How to let time pass.
        files: Where the files are.
    """

    def open_(file: LogFile, offset: int) -> _BytesTail:
        mixed = query.follow and not (alone and file.stream is None)
        return _BytesTail(file, offset, files, whole_lines=mixed)

    return _Reading(find, query, open_, files).all(sleep)


class _Reading(Generic[_T]):
    """All the files of one question, read in turns."""

    def __init__(
        self,
        find: Callable[[], Iterable[LogFile]],
        query: LogQuery,
        open_: Callable[[LogFile, int], _Tail[_T]],
        files: Files,
    ) -> None:
        self._find = find
        self._query = query
        self._open = open_
        self._files = files
        self._tails: dict[Path, _Tail[_T]] = {}
        self._newest: dict[tuple[int, str | None], int] = {}
        self._found = 0.0

    def all(self, sleep: Callable[[float], None]) -> Iterator[_T | LogLine]:
        """What there is and, when following, what comes until the end."""
        query = self._query
        self._adopt(tail=query.tail)
        while query.follow and not query.stop():
            started = time.perf_counter()
            progress = yield from self._look()
            # To look for files may cost more than to read a piece of one.
            if not progress or time.perf_counter() - self._found >= POLL:
                progress = self._adopt() or progress
            if progress:
                continue
            # Asked before the last look, so that what was written before the end is read after it.
            if query.ended():
                self._adopt()
                break
            spent = time.perf_counter() - started
            sleep(min(max(POLL, spent * _WORK_SHARE), _SLOWEST_POLL))
        for reader in list(self._tails.values()):
            yield from self._drain(reader)

    def _look(self) -> Generator[_T | LogLine, None, bool]:
        """A piece of each file, and all of an attempt that has ended: another one followed it. Whether any came."""
        moved = False
        for reader in list(self._tails.values()):
            if reader.file.attempt == self._newest[_owner(reader.file)]:
                yield from reader.read()
                moved = moved or reader.moved
                continue
            for item in self._drain(reader):
                moved = True
                yield item
        return moved

    def _drain(self, reader: _Tail[_T]) -> Iterator[_T | LogLine]:
        while not self._query.stop():
            yield from reader.read()
            if not reader.moved:
                break
        yield from reader.finish()

    def _adopt(self, *, tail: int | None = None) -> bool:
        """Take up the files that are not read yet, with ``tail`` from their last lines on; whether there are any."""
        query = self._query
        new = [f for f in self._find() if f.path not in self._tails]
        wanted = [f for f in new if query.replica in {None, f.replica} and query.attempt in {None, f.attempt}]
        wanted.sort(key=lambda f: (f.replica, f.attempt, f.stream or ""))
        offsets: dict[Path, int] = {}
        left: dict[tuple[int, str | None], int] = {}
        for file in reversed(wanted) if tail is not None else ():
            owner = _owner(file)
            offsets[file.path], count = self._files.tail(file.path, left.get(owner, tail or 0))
            left[owner] = left.get(owner, tail or 0) - count
        for file in wanted:
            self._tails[file.path] = self._open(file, offsets.get(file.path, 0))
            self._newest[_owner(file)] = max(file.attempt, self._newest.get(_owner(file), 0))
        self._found = time.perf_counter()
        return bool(wanted)


def _owner(file: LogFile) -> tuple[int, str | None]:
    """Whose attempts follow each other."""
    return file.replica, file.stream
