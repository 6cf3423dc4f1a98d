"""Where log files are read: on this machine, or behind whatever a backend has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gpujobs.errors import RejectedError

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 256 * 1024
"""Bytes read at once; many files take turns by it."""


class Piece(NamedTuple):
    """What one look at a file gave."""

    inode: int
    size: int
    data: bytes


class Files(Protocol):
    """Where the files are: on this machine, or behind whatever a backend has."""

    def read(self, path: Path, offset: int, limit: int) -> Piece | None:
        """At most ``limit`` bytes from ``offset`` on; None where there is no file."""
        ...

    def tail(self, path: Path, lines: int) -> tuple[int, int]:
        """As :func:`tail_offset`."""
        ...


class LocalFiles:
    """The files of this machine, opened anew for each read: that makes NFS ask its server."""

    def read(self, path: Path, offset: int, limit: int) -> Piece | None:
        """At most ``limit`` bytes from ``offset`` on; None where there is no file."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as e:
            raise RejectedError(
                f"The log file {path} cannot be read: {e.strerror}.", next_step="Check who may read it."
            ) from e
        try:
            stat = os.fstat(fd)
            return Piece(stat.st_ino, stat.st_size, os.pread(fd, limit, offset) if stat.st_size > offset else b"")
        finally:
            os.close(fd)

    def tail(self, path: Path, lines: int) -> tuple[int, int]:
        """As :func:`tail_offset`."""
        return tail_offset(path, lines)


LOCAL_FILES = LocalFiles()


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
