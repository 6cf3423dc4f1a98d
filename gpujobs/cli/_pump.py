"""A log read in a thread of its own and handed over in batches: at once when it comes slowly, much when fast."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gpujobs.results import LogLine

_READ_AHEAD = 32 * 2**20
"""Bytes read ahead of a slow stdout."""

_OVERHEAD = 256
"""About what an object costs besides its bytes."""


class LogPump:
    """Reads lines, or bytes, until they end.

    Args:
        source: What to read.
        ready: Called, from the thread, when there is something to take.
        done: Called, from the thread, once all is there to take, with the error that ended it or None.
    """

    def __init__(
        self,
        source: Iterable[bytes | LogLine],
        *,
        ready: Callable[[], None],
        done: Callable[[BaseException | None], None],
    ) -> None:
        self._source = source
        self._ready = ready
        self._done = done
        self._items: deque[bytes | LogLine] = deque()
        self._told = False
        # One side only writes the one, the other the other: no lock is needed for their difference.
        self._read = 0
        self._taken = 0
        self._room = threading.Event()

    def start(self) -> None:
        """Begin to read. The thread holds nobody up: it ends with the process."""
        threading.Thread(target=self._run, daemon=True).start()

    def take(self) -> list[bytes | LogLine]:
        """What has come since the last time; perhaps nothing."""
        self._told = False  # before anything is taken, so that nothing that comes now stays untold
        taken = [self._items.popleft() for _ in range(len(self._items))]
        self._taken += sum(map(_size, taken))
        self._room.set()
        return taken

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._source:
                self._items.append(item)
                self._read += _size(item)
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


def _size(item: bytes | LogLine) -> int:
    return len(item if isinstance(item, bytes) else item.raw) + _OVERHEAD
