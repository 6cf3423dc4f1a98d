"""The place where readers of logs leave lines: none lost, none reordered, and never more than may lie there."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from gpujobs.results import LogLine
from gpujobs_kubernetes._inbox import LINE, Inbox

if TYPE_CHECKING:
    from collections.abc import Callable

MANY, READERS = 3000, 4


def beside(act: Callable[[], object]) -> threading.Thread:
    """Do something in a thread."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def test_all_lines_of_all_readers_come_in_their_order() -> None:
    """However the threads take turns, with little room."""
    inbox = Inbox(10 * LINE)

    def read(replica: int) -> None:
        for i in range(MANY):
            inbox.put([LogLine(str(i), replica=replica)])

    threads = [beside(lambda replica=replica: read(replica)) for replica in range(READERS)]
    found: dict[int, list[str]] = {replica: [] for replica in range(READERS)}
    while any(thread.is_alive() for thread in threads) or not inbox.empty():
        for line in inbox.take(0.1):
            found[line.replica].append(line.text)

    assert all(texts == [str(i) for i in range(MANY)] for texts in found.values())


def test_a_reader_who_is_far_ahead_waits() -> None:
    """Until somebody takes, or nobody will any more."""
    inbox = Inbox(2 * LINE)
    put: list[int] = []

    def read() -> None:
        for i in range(5):
            inbox.put([LogLine(str(i))])
            put.append(i)

    thread = beside(read)
    thread.join(0.2)
    assert put == [0, 1]

    assert [line.text for line in inbox.take(1)] == ["0", "1"]
    thread.join(0.2)
    assert put == [0, 1, 2, 3]

    inbox.close()
    thread.join(5)
    assert not thread.is_alive()


def test_the_first_line_is_taken_at_once_and_those_after_it_together() -> None:
    """What comes after silence wakes whoever waits; what comes right after a taking is gathered for a moment."""
    inbox = Inbox()
    began = time.monotonic()
    assert inbox.take(0) == []
    beside(lambda: inbox.put([LogLine("first")]))
    assert [line.text for line in inbox.take(5)] == ["first"]
    assert time.monotonic() - began < 2

    takings = 0
    thread = beside(lambda: [inbox.put([LogLine(str(i))]) for i in range(MANY)])
    texts: list[str] = []
    while len(texts) < MANY:
        texts += [line.text for line in inbox.take(5)]
        takings += 1
    thread.join()
    assert texts == [str(i) for i in range(MANY)]
    assert takings < MANY / 10
