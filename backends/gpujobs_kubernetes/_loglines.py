"""Log lines as the API server writes them: ``TIMESTAMP TEXT``, and the place where a reader stands among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from gpujobs.results import LogLine

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_LINE = 16 * 1024 * 1024
_SECOND = len("2026-01-31T12:00:00")
_DIGITS = 9
"""Kubernetes writes all nine, others leave out zeros at the end."""
_FIXED = _SECOND + 1 + _DIGITS
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Source:
    """One container's log: which pod, whose copy, which attempt."""

    namespace: str
    pod: str
    uid: str
    replica: int
    attempt: int
    previous: bool = False


class Stamps:
    """Timestamps as times; most lines of a log share their second with the one before."""

    def __init__(self) -> None:
        self._second: bytes = b""
        self._zone: bytes = b""
        self._base = _EPOCH
        self._head: bytes = b"?"
        """The second and its point."""

    def time(self, stamp: bytes) -> datetime | None:
        """The time, to the microsecond; None where it is no timestamp."""
        if stamp[: _SECOND + 1] == self._head and stamp[_FIXED:] == self._zone:
            number = stamp[_SECOND + 1 : _FIXED]
            if number.isdigit() and len(number) == _DIGITS:
                return self._base.replace(microsecond=int(number[:6]))
        return self._parsed(stamp)

    def _parsed(self, stamp: bytes) -> datetime | None:
        second, rest = stamp[:_SECOND], stamp[_SECOND:]
        digits = rest[1:] if rest[:1] == b"." else b""
        number = digits.rstrip(b"Z") if digits.endswith(b"Z") else digits[:9]
        zone = rest[1 + len(number) :] if digits else rest
        if second != self._second or zone != self._zone:
            try:
                text = (second + zone).decode("ascii").replace("Z", "+00:00")
                self._base = datetime.fromisoformat(text).astimezone(timezone.utc)
            except ValueError:
                return None
            self._second, self._zone = second, zone
            self._head = second + b"."
        if not number.isdigit():
            return self._base
        return self._base + timedelta(microseconds=int(number[:6].ljust(6, b"0")))


@dataclass(slots=True)
class Cursor:
    """Where a reader of one container's log stands, to the nanosecond: what a new connection goes on from.

    ``sinceTime`` only knows whole seconds, so a new connection repeats lines; the newest stamp seen, and how many lines
    had it, tell which. If none of them is repeated, the system has dropped lines in between.
    """

    source: Source
    stamp: bytes = b""
    same: int = 0
    cut: bool = False
    """Whether the last connection ended without having ended by itself."""
    _rest: bytes = b""
    _skip: int | None = None
    _stamps: Stamps = field(default_factory=Stamps)

    def begin(self) -> str | None:
        """A new connection starts: the ``sinceTime`` to ask for, or None for the whole log."""
        self._rest = b""
        self._skip = self.same if self.stamp else None
        if not self.stamp:
            return None
        time = self._stamps.time(self.stamp)
        return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")

    def feed(self, data: bytes) -> list[LogLine]:
        """The lines that are complete now and were not given before."""
        if self._rest:
            data = self._rest + data
        # Split at \n alone: a line may hold \r.
        *raws, self._rest = data.split(b"\n")
        lines = self._fresh(raws, b"\n")
        if len(self._rest) > LONGEST_LINE:
            lines += self.finish()
        return lines

    def finish(self) -> list[LogLine]:
        """The unfinished last line, once nothing more can come."""
        rest, self._rest = self._rest, b""
        return self._fresh([rest], b"") if rest else []

    def _fresh(self, raws: Sequence[bytes], end: bytes) -> list[LogLine]:
        found: list[LogLine] = []
        replica, attempt, times = self.source.replica, self.source.attempt, self._stamps
        for raw in raws:
            stamp, _, text = raw.partition(b" ")
            if self._skip is not None and self._repeated(stamp, found):
                continue
            if stamp == self.stamp:
                self.same += 1
            else:
                self.stamp, self.same = stamp, 1
            time = times.time(stamp)
            if b"\r" in text:
                self._split(found, text + end, time)
            else:
                found.append(LogLine(text.decode(errors="replace"), text + end, replica, attempt, time))
        return found

    def _repeated(self, stamp: bytes, found: list[LogLine]) -> bool:
        """Whether a line of a new connection was given before; the first that was not proves the join, or the gap."""
        if stamp < self.stamp:
            return True
        if stamp == self.stamp and self._skip:
            self._skip -= 1
            if not self._skip:
                self._skip = None
            return True
        if self._skip == self.same:
            before = self.stamp.decode("ascii", "replace")
            after = stamp.decode("ascii", "replace")
            found.append(gap(self.source, f"Lines between {before} and {after} are missing: the log was rotated."))
        self._skip = None
        return False

    def _split(self, found: list[LogLine], text: bytes, time: datetime | None) -> None:
        r"""A line with ``\r`` in it is several: each ends one, except before the final ``\n``."""
        source = self.source
        pieces = text.splitlines(keepends=True)
        found += [LogLine.of(raw, replica=source.replica, attempt=source.attempt, time=time) for raw in pieces]


def gap(source: Source, text: str) -> LogLine:
    """The note that lines of a copy are missing."""
    return LogLine(text, replica=source.replica, attempt=source.attempt, gap=True)
