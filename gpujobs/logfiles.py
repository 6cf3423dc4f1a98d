"""Reading log files that only grow: for backends whose workloads write into files of this machine.

:func:`read_logs` is a whole ``Backend.logs``: it reads any number of files (one per replica and attempt), finds those
that appear later, follows them by offset, and gives every line once. Nothing is kept but each file's unfinished line.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gpujobs._logsource import CHUNK, LOCAL_FILES, Files, Piece, tail_offset
from gpujobs.results import LogLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from gpujobs.backend import LogQuery

__all__ = ["Files", "LineSplitter", "LogFile", "LogTail", "Piece", "read_logs", "tail_offset"]

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes after which a line without an end is given in pieces, so that memory stays bounded."""

POLL = 0.05
"""Seconds between two looks of a follower; more only where one look takes longer than a tenth of it."""

_SLOWEST_POLL = 1.0
_MANY = 16
_WORK_SHARE = 10


class LineSplitter:
    r"""Cuts bytes into raw lines; ``\n``, ``\r`` and ``\r\n`` end one, also when a pair arrives in two pieces.

    The pieces given, joined, are the bytes fed: nothing is dropped or changed.
    """

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now, ends included."""
        if not data:
            return []
        if self._parts and self._parts[-1].endswith(b"\r"):
            data = self._take() + data
        # bytes.splitlines cuts at \n, \r and \r\n only (the one of str knows more ends).
        lines = data.splitlines(keepends=True)
        last = lines[-1]
        # A final \r may be half of \r\n: it waits for the next byte, or for flush().
        rest = lines.pop() if not last.endswith(b"\n") else b""
        if lines and self._parts:
            lines[0] = self._take() + lines[0]
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size >= self._longest:
                lines.append(self._take())
        return lines

    @property
    def held_return(self) -> bool:
        r"""Whether the only thing that keeps a line back is that its ``\r`` could become ``\r\n``."""
        return bool(self._parts) and self._parts[-1].endswith(b"\r")

    def flush(self) -> list[bytes]:
        """What is left: the unfinished last line, if any."""
        return [self._take()] if self._parts else []

    def _take(self) -> bytes:
        whole = b"".join(self._parts)
        self._parts, self._size = [], 0
        return whole


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of a workload's output, and whose it is."""

    path: Path
    replica: int = 0
    attempt: int = 0
    stream: Literal["stdout", "stderr"] | None = None


class LogTail:
    """A place in one growing file; every :meth:`read` gives what came since the last one.

    It holds no descriptor between two reads. A file that shrank or was replaced gives one gap and is read from its
    start again.
    """

    def __init__(self, file: LogFile, offset: int = 0, files: Files = LOCAL_FILES) -> None:
        self.file = file
        self._files = files
        self.offset = offset
        self._splitter = LineSplitter()
        self._inode: int | None = None
        self.moved = False
        """Whether the last read got anything, be it only a part of a line."""

    def read(self, limit: int = CHUNK) -> list[LogLine]:
        """The complete lines of the next ``limit`` bytes; empty when nothing new is there."""
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
        if not data and self._splitter.held_return:  # noqa: SIM108  # two lines read better than one long one
            # One look later nothing followed the \r: it ends the line (a progress bar), show it.
            lines = self._splitter.flush()
        else:
            lines = self._splitter.feed(data)
        return before + self._lines(lines)

    def finish(self) -> list[LogLine]:
        """The unfinished last line, once nothing more can come."""
        return self._lines(self._splitter.flush())

    def _check(self, piece: Piece) -> list[LogLine]:
        replaced = self._inode is not None and piece.inode != self._inode
        self._inode = piece.inode
        if not replaced and piece.size >= self.offset:
            return []
        what = "was replaced" if replaced else f"was cut from {self.offset} to {piece.size} bytes"
        self.offset = 0
        return [*self.finish(), self._gap(f"The log file {self.file.path} {what}; lines may be missing here.")]

    def _vanished(self) -> list[LogLine]:
        self.moved = self._inode is not None
        if not self.moved:
            return []
        self._inode = None
        self.offset = 0
        return [*self.finish(), self._gap(f"The log file {self.file.path} was removed while it was read.")]

    def _gap(self, text: str) -> LogLine:
        return LogLine(text, replica=self.file.replica, attempt=self.file.attempt, stream=self.file.stream, gap=True)

    def _lines(self, raws: list[bytes]) -> list[LogLine]:
        if len(raws) < _MANY:
            replica, attempt, stream = self.file.replica, self.file.attempt, self.file.stream
            return [LogLine.of(raw, replica=replica, attempt=attempt, stream=stream) for raw in raws]
        return _many_lines(raws, self.file)


def _many_lines(raws: list[bytes], file: LogFile) -> list[LogLine]:
    """What ``LogLine.of`` makes of each, several times faster: one decoding for all, slots set without ``__init__``.

    It is what lets a follower keep up with a fast writer.
    """
    slots = vars(LogLine)
    setters = [(slots[n].__set__, v) for n, v in _shared(file)]
    set_text, set_raw, new = slots["text"].__set__, slots["raw"].__set__, LogLine.__new__
    texts = b"".join(raws).replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode(errors="replace").split("\n")
    lines: list[LogLine] = []
    for raw, text in zip(raws, texts, strict=False):
        line = new(LogLine)
        set_text(line, text)
        set_raw(line, raw)
        for set_value, value in setters:
            set_value(line, value)
        lines.append(line)
    return lines


def _shared(file: LogFile) -> list[tuple[str, object]]:
    """The fields that all lines of a file share."""
    return [
        ("replica", file.replica),
        ("attempt", file.attempt),
        ("time", None),
        ("stream", file.stream),
        ("gap", False),
    ]


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
    tails: dict[Path, LogTail] = {}
    _adopt(tails, find(), query, files, tail=query.tail)
    while query.follow and not query.stop():
        started = time.perf_counter()
        progress = False
        for reader in list(tails.values()):
            yield from reader.read()
            progress = progress or reader.moved
        _adopt(tails, find(), query, files)
        if progress:
            continue
        # Asked before the last look, so that what was written before the end is read after it.
        if query.ended():
            _adopt(tails, find(), query, files)
            break
        spent = time.perf_counter() - started
        sleep(min(max(POLL, spent * _WORK_SHARE), _SLOWEST_POLL))
    for reader in list(tails.values()):
        yield from _drain(reader, query)


def _drain(reader: LogTail, query: LogQuery) -> Iterator[LogLine]:
    while not query.stop():
        yield from reader.read()
        if not reader.moved:
            break
    yield from reader.finish()


def _adopt(
    tails: dict[Path, LogTail], found: Iterable[LogFile], query: LogQuery, files: Files, *, tail: int | None = None
) -> None:
    """Take up the files that are not read yet; with ``tail``, from where the last lines of each replica start."""
    new = [f for f in found if f.path not in tails]
    wanted = [f for f in new if query.replica in {None, f.replica} and query.attempt in {None, f.attempt}]
    wanted.sort(key=lambda f: (f.replica, f.attempt, f.stream or ""))
    offsets: dict[Path, int] = {}
    left: dict[tuple[int, str | None], int] = {}
    for file in reversed(wanted) if tail is not None else ():
        owner = (file.replica, file.stream)
        offsets[file.path], count = files.tail(file.path, left.get(owner, tail or 0))
        left[owner] = left.get(owner, tail or 0) - count
    for file in wanted:
        tails[file.path] = LogTail(file, offsets.get(file.path, 0), files)
