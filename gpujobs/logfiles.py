"""Reading log files that only grow: for backends whose workloads write into files of this machine.

:func:`read_logs` is a whole ``Backend.logs``: it reads any number of files (one per replica and attempt), finds those
that appear later, follows them by offset, and gives every line once. Nothing is kept but each file's unfinished line.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gpujobs.errors import RejectedError
from gpujobs.results import LogLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from gpujobs.backend import LogQuery

__all__ = ["LineSplitter", "LogFile", "LogTail", "read_logs", "tail_offset"]

CHUNK = 256 * 1024
"""Bytes read at once; many files take turns by it."""

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

    The file is opened anew for each read: that holds no descriptor between two reads, and it makes NFS ask its server.
    A file that shrank or was replaced gives one gap and is read from its start again.
    """

    def __init__(self, file: LogFile, offset: int = 0) -> None:
        self.file = file
        self.offset = offset
        self._splitter = LineSplitter()
        self._inode: int | None = None
        self.moved = False
        """Whether the last read got anything, be it only a part of a line."""

    def read(self, limit: int = CHUNK) -> list[LogLine]:
        """The complete lines of the next ``limit`` bytes; empty when nothing new is there."""
        try:
            fd = os.open(self.file.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return self._vanished()
        except OSError as e:
            raise RejectedError(
                f"The log file {self.file.path} cannot be read: {e.strerror}.", next_step="Check who may read it."
            ) from e
        try:
            before = self._check(os.fstat(fd))
            data = os.pread(fd, limit, self.offset)
        except OSError as e:  # a directory, or a file system that fails
            raise RejectedError(
                f"The log file {self.file.path} cannot be read: {e.strerror}.", next_step="Check what lies there."
            ) from e
        finally:
            os.close(fd)
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

    def _check(self, stat: os.stat_result) -> list[LogLine]:
        replaced = self._inode is not None and stat.st_ino != self._inode
        self._inode = stat.st_ino
        if not replaced and stat.st_size >= self.offset:
            return []
        what = "was replaced" if replaced else f"was cut from {self.offset} to {stat.st_size} bytes"
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


def tail_offset(path: Path, lines: int) -> tuple[int, int]:
    """(offset at which the last ``lines`` lines start, how many lines there are from it on).

    Reads backwards, only as much as is needed. An unfinished last line counts as one. No file: (0, 0).
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0, 0
    try:
        end = os.fstat(fd).st_size
        return (end, 0) if lines <= 0 else _tail_of(fd, end, lines)
    finally:
        os.close(fd)


def _tail_of(fd: int, end: int, wanted: int) -> tuple[int, int]:
    size = CHUNK
    while True:
        start = max(0, end - size)
        whole = _pread_all(fd, start, end - start).splitlines(keepends=True)
        # The first piece may be the end of a longer line, so one more than wanted is needed.
        if len(whole) > wanted or start == 0:
            break
        size *= 2
    last = whole[-wanted:]
    return end - sum(map(len, last)), len(last)


def _pread_all(fd: int, start: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0:
        part = os.pread(fd, size, start)
        if not part:
            break
        parts.append(part)
        start, size = start + len(part), size - len(part)
    return b"".join(parts)


def read_logs(
    find: Callable[[], Iterable[LogFile]],
    query: LogQuery,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[LogLine]:
    """Every line that ``query`` asks for, from all the files that ``find`` gives now and, when following, later.

    Without ``follow``: replica by replica, attempts oldest first. With it: as the lines come, a few of each file in
    turn, until ``query.ended()``; what is then left is drained, unfinished lines included.
    """
    tails: dict[Path, LogTail] = {}
    _adopt(tails, find(), query, tail=query.tail)
    while query.follow and not query.stop():
        started = time.perf_counter()
        progress = False
        for reader in list(tails.values()):
            yield from reader.read()
            progress = progress or reader.moved
        _adopt(tails, find(), query)
        if progress:
            continue
        # Asked before the last look, so that what was written before the end is read after it.
        if query.ended():
            _adopt(tails, find(), query)
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


def _adopt(tails: dict[Path, LogTail], files: Iterable[LogFile], query: LogQuery, *, tail: int | None = None) -> None:
    """Take up the files that are not read yet; with ``tail``, from where the last lines of each replica start."""
    new = [f for f in files if f.path not in tails]
    wanted = [f for f in new if query.replica in {None, f.replica} and query.attempt in {None, f.attempt}]
    wanted.sort(key=lambda f: (f.replica, f.attempt, f.stream or ""))
    offsets: dict[Path, int] = {}
    left: dict[tuple[int, str | None], int] = {}
    for file in reversed(wanted) if tail is not None else ():
        owner = (file.replica, file.stream)
        offsets[file.path], found = tail_offset(file.path, left.get(owner, tail or 0))
        left[owner] = left.get(owner, tail or 0) - found
    for file in wanted:
        tails[file.path] = LogTail(file, offsets.get(file.path, 0))
