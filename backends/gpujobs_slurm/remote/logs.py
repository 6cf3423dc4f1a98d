"""The log files of a record, and reading them by offset."""

from __future__ import annotations

import os
import re
import time
from typing import Any

_LOG = re.compile(r"log(?:\.(\d+))?(?:\.r(\d+))?\.(\d+)")
_OWN = re.compile(r"(out|err)(?:\.(\d+))?")
_SLURM = re.compile(r"slurm(?:\.(\d+))?\.out")
_CHUNK = 256 * 1024
_LOOK_S = 0.05


def log_files(root: str, name: str) -> list[list[Any]] | None:
    """``[path, element or -1, node rank, attempt, stream]`` of each; None when there is no such record.

    ``log.7.r1.0`` is attempt 0 of element 7 on its second node. Where the user chose the files, ``out`` and ``err``
    are links to them. ``slurm.out`` is what Slurm itself had to say; its stream is ``slurm``.
    """
    path = os.path.join(root, name)
    try:
        names = os.listdir(path)
    except OSError:
        return None
    found: list[list[Any]] = []
    for entry in names:
        match = _LOG.fullmatch(entry)
        if match:
            element, rank, attempt = match.groups()
            found.append([os.path.join(path, entry), _number(element, -1), _number(rank, 0), int(attempt), ""])
        own = _OWN.fullmatch(entry)
        if own:
            stream = "stderr" if own.group(1) == "err" else "stdout"
            found.append([os.readlink(os.path.join(path, entry)), _number(own.group(2), -1), 0, 0, stream])
        slurm = _SLURM.fullmatch(entry)
        if slurm:
            found.append([os.path.join(path, entry), _number(slurm.group(1), -1), 0, 0, "slurm"])
    return found


def _number(text: str | None, default: int) -> int:
    return default if text is None else int(text)


def read_at(path: str, offset: int, limit: int = _CHUNK, wait: float = 0.0) -> dict[str, Any] | None:
    """Bytes from an offset on, with the file's inode and size; None when there is no file.

    With ``wait`` it answers as soon as there is something new, or after so many seconds.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            stat = os.fstat(fd)
            data = os.pread(fd, limit, offset)
        finally:
            os.close(fd)
        if data or stat.st_size < offset or time.monotonic() >= deadline:
            return {"inode": stat.st_ino, "size": stat.st_size, "data": data}
        time.sleep(_LOOK_S)


def tail_at(path: str, lines: int) -> list[int]:
    """``[offset, count]`` of the last lines; a carriage return ends one too."""
    try:
        size = os.stat(path).st_size
    except OSError:
        return [0, 0]
    if lines <= 0:
        return [size, 0]
    block = _CHUNK
    with open(path, "rb") as file:
        while True:
            start = max(0, size - block)
            file.seek(start)
            pieces = file.read(size - start).splitlines(True)
            if len(pieces) > lines or start == 0:
                last = pieces[-lines:]
                return [size - sum(len(p) for p in last), len(last)]
            block *= 2
