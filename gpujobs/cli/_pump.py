"""A log read in a thread of its own and handed over in batches: at once when it comes slowly, many lines when fast."""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gpujobs.results import LogLine

_READ_AHEAD = 32 * 2**20
"""Bytes read ahead of a slow stdout."""

_OVERHEAD = 256
"""About what a line costs besides its bytes."""

_BATCH = 4096


class LogPump:
    """Reads lines until they end.

    Args:
        lines: What to read.
        ready: Called, from the thread, when there is something to take.
        done: Called, from the thread, once all is there to take, with the error that ended it or None.
    """

    def __init__(
        self, lines: Iterable[LogLine], *, ready: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        self._source = lines
        self._ready = ready
        self._done = done
        self._lines: deque[LogLine] = deque()
        self._told = False
        # One side only writes the one, the other the other: no lock is needed for their difference.
        self._read = 0
        self._taken = 0
        self._room = threading.Event()

    def start(self) -> None:
        """Begin to read. The thread holds nobody up: it ends with the process."""
        threading.Thread(target=self._run, daemon=True).start()

    def take(self) -> list[LogLine]:
        """What has come since the last time; perhaps nothing."""
        self._told = False  # before the lines are taken, so that none that comes now stays untold
        taken = [self._lines.popleft() for _ in range(len(self._lines))]
        self._taken += sum(len(line.raw) + _OVERHEAD for line in taken)
        self._room.set()
        return taken

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for line in self._source:
                self._lines.append(line)
                self._read += len(line.raw) + _OVERHEAD
                if not self._told:
                    self._told = True
                    self._ready()
                if self._full():
                    self._wait_for_room()
        except BaseException as e:  # noqa: BLE001  # handed over and raised in the main thread
            error = e
        self._done(error)

    def _full(self) -> bool:
        return self._read - self._taken > _READ_AHEAD

    def _wait_for_room(self) -> None:
        while self._full():
            self._room.clear()
            if self._full():
                self._room.wait()


def batches(lines: Iterable[LogLine]) -> Iterator[list[LogLine]]:
    """The lines of a log that is there already, many at a time."""
    rest = iter(lines)
    while batch := list(islice(rest, _BATCH)):
        yield batch
