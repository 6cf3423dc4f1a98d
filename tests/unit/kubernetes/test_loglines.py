r"""Lines out of what the API server sends, with and without new connections."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from gpujobs_kubernetes._loglines import Cursor, Source, Stamps

SOURCE = Source("ns", "p", "u", 3, 1)


def stamp(i: int) -> str:
    """The i-th nanosecond of a second."""
    return f"2026-01-01T00:00:00.{i:09d}Z"


def lines(*texts: str, start: int = 0) -> bytes:
    """Lines with a timestamp each."""
    return b"".join(f"{stamp(start + i)} {text}\n".encode() for i, text in enumerate(texts))


def texts(cursor: Cursor, data: bytes) -> list[str]:
    """What a piece of a reply gives."""
    return [line.text for line in cursor.feed(data)]


def test_a_line_is_a_line_only_when_it_is_complete() -> None:
    r"""Pieces of any size; \r ends a line too; the last need not have an end."""
    cursor = Cursor(SOURCE)
    data = lines("one", "10%\r20%", "x") + f"{stamp(9)} last".encode()
    found = [line for i in range(len(data)) for line in cursor.feed(data[i : i + 1])] + cursor.finish()

    assert [line.text for line in found] == ["one", "10%", "20%", "x", "last"]
    assert b"".join(line.raw for line in found) == b"one\n10%\r20%\nx\nlast"
    assert {(line.replica, line.attempt) for line in found} == {(3, 1)}
    assert found[0].time == datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_a_new_connection_repeats_nothing() -> None:
    """The server repeats the whole second; several lines may share their nanosecond."""
    cursor = Cursor(SOURCE)
    twice = lines("a") + lines("b") + lines("c", start=5) + lines("d", start=5)
    assert cursor.begin() is None
    assert texts(cursor, twice + b"2026-01-01T00:00:00.0000") == ["a", "b", "c", "d"]

    assert cursor.begin() == "2026-01-01T00:00:00Z"
    assert texts(cursor, twice + lines("e", start=5) + lines("f", start=6)) == ["e", "f"]
    assert cursor.begin() == "2026-01-01T00:00:00Z"
    assert texts(cursor, lines("f", "g", start=6)) == ["g"]


def test_a_new_connection_that_goes_on_later_is_a_gap() -> None:
    """Nothing that was seen is repeated: the system has dropped lines in between."""
    cursor = Cursor(SOURCE)
    cursor.begin()
    cursor.feed(lines("a"))
    cursor.begin()
    found = cursor.feed(lines("z", "y", start=50))

    assert [line.gap for line in found] == [True, False, False]
    assert "rotated" in found[0].text
    assert (found[0].replica, found[0].attempt) == (3, 1)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (b"2026-01-31T12:00:00.123456789Z", datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=timezone.utc)),
        (b"2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=timezone.utc)),
        (b"2026-01-31T12:00:00.5Z", datetime(2026, 1, 31, 12, 0, 0, 500000, tzinfo=timezone.utc)),
        (b"2026-01-31T12:00:00.000000001+02:00", datetime(2026, 1, 31, 10, tzinfo=timezone.utc)),
        (b"nonsense", None),
    ],
)
def test_timestamps_are_read(text: bytes, time: datetime | None) -> None:
    """To the microsecond, in any zone."""
    assert Stamps().time(text) == time


def test_an_empty_line_is_a_line() -> None:
    """Also where the server leaves out the blank after its timestamp."""
    cursor = Cursor(SOURCE)

    assert [line.raw for line in cursor.feed(f"{stamp(1)} \n{stamp(2)}\n".encode())] == [b"\n", b"\n"]
