"""Cutting the bytes of a log: into lines, or not at all. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gpujobs.results import LogLine

if TYPE_CHECKING:
    from gpujobs.logfiles import LogFile

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes after which a line without an end is given in pieces, so that memory stays bounded."""

_MANY = 16


class Cutter(Protocol):
    """What decides where the bytes of a file are cut. The pieces given, joined, are the bytes fed."""

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces that are complete now."""
        ...

    @property
    def held_return(self) -> bool:
        r"""Whether the only thing that keeps a piece back is that its ``\r`` could become ``\r\n``."""
        ...

    def flush(self) -> list[bytes]:
        """What is left."""
        ...


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


class Uncut:
    """Passes on the bytes as they were read."""

    held_return = False

    def feed(self, data: bytes) -> list[bytes]:
        """The same bytes."""
        return [data] if data else []

    def flush(self) -> list[bytes]:
        """Nothing: none are kept."""
        return []


def lines_of(file: LogFile, raws: list[bytes]) -> list[LogLine]:
    """The raw lines of a file as LogLines."""
    if len(raws) < _MANY:
        replica, attempt, stream = file.replica, file.attempt, file.stream
        return [LogLine.of(raw, replica=replica, attempt=attempt, stream=stream) for raw in raws]
    return _many_lines(file, raws)


def _many_lines(file: LogFile, raws: list[bytes]) -> list[LogLine]:
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
