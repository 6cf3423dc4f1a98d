"""The place where readers of logs leave bytes: none lost, none reordered, and never more than may lie there."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from gpujobs_kubernetes._inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable

MANY, READERS = 3000, 4
GATHER_S = 0.01
TEXT = b"".join(b"%d\n" % i for i in range(MANY))


def beside(act: Callable[[], object]) -> threading.Thread:
    """Do something in a thread."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def until(done: Callable[[], bool]) -> None:
    """Wait for another thread, which may be late."""
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_all_bytes_of_all_readers_come_in_their_order_and_before_their_ends() -> None:
    """However the threads take turns, with little room; each end comes once."""
    inbox: Inbox[int, str] = Inbox(100)

    def read(reader: int) -> None:
        for i in range(MANY):
            inbox.put(reader, b"%d\n" % i)
        inbox.end(reader, f"end of {reader}")

    for reader in range(READERS):
        beside(partial(read, reader))
    found, ends = dict.fromkeys(range(READERS), b""), list[str]()
    while len(ends) < READERS:
        for reader, data, end in inbox.take(60):
            found[reader] += data
            if end is not None:
                assert found[reader] == TEXT
                ends.append(end)

    assert sorted(ends) == [f"end of {reader}" for reader in range(READERS)]
    assert inbox.take(0) == []


def test_a_reader_who_is_far_ahead_waits() -> None:
    """Until somebody takes, or nobody will any more."""
    inbox: Inbox[str, str] = Inbox(2)
    put: list[bool] = []

    thread = beside(lambda: put.extend(inbox.put("r", b"x") for _ in range(5)))
    until(lambda: len(put) == 2)
    thread.join(0.2)
    assert put == [True, True]

    assert inbox.take(60) == [("r", b"xx", None)]
    until(lambda: len(put) == 4)
    thread.join(0.2)
    assert put == [True] * 4

    inbox.close()
    thread.join(60)
    assert put == [True] * 4 + [False]


def test_the_first_bytes_are_taken_at_once_and_those_after_them_together() -> None:
    """What comes after silence wakes whoever waits; what comes right after a taking is gathered for a moment."""
    inbox: Inbox[str, str] = Inbox()
    began = time.monotonic()
    assert inbox.take(0) == []
    beside(lambda: inbox.put("r", b"first"))
    assert inbox.take(600) == [("r", b"first", None)]
    assert time.monotonic() - began < 300

    takings, found, began = 0, b"", time.monotonic()
    beside(lambda: [inbox.put("r", b"%d\n" % i) for i in range(MANY)])
    while len(found) < len(TEXT):
        found += b"".join(data for _, data, _ in inbox.take(60))
        takings += 1
    assert found == TEXT
    assert takings <= (time.monotonic() - began) / GATHER_S + 2
