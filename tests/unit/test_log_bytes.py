"""Log files as bytes: what comes out, joined, is what was written, wherever writes, reads and files fall."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpujobs.backend import LogQuery
from gpujobs.logfiles import LogFile, Piece, read_log_bytes, read_logs
from gpujobs.results import LogLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

LOG = Path("log")
ODD = st.binary(max_size=60).map(lambda b: b.translate(bytes(b"\r\nab\xff"[i % 5] for i in range(256))))


class Story:
    """Files in memory, and a sleep that does the next step of what happens to them; over after the last one."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.contents: dict[Path, bytes] = {}
        self.steps: list[Callable[[], object]] = list(steps)
        self.looks = 0

    def read(self, path: Path, offset: int, limit: int) -> Piece | None:
        """As ``Files`` says; at most three bytes at once."""
        if path not in self.contents:
            return None
        whole = self.contents[path]
        return Piece(1, len(whole), whole[offset : offset + min(limit, 3)])

    def tail(self, path: Path, lines: int) -> tuple[int, int]:
        """As ``Files`` says."""
        pieces = self.contents.get(path, b"").splitlines(keepends=True)
        last = pieces[len(pieces) - min(lines, len(pieces)) :]
        return len(b"".join(pieces)) - len(b"".join(last)), len(last)

    def writes(self, path: Path, data: bytes) -> Story:
        """Let that be the next step."""
        self.steps.append(lambda: self.contents.update({path: self.contents.get(path, b"") + data}))
        return self

    def sleep(self, seconds: float) -> None:
        """Do the next step."""
        assert seconds > 0
        self.steps.pop(0)()

    def pieces(self, files: Sequence[LogFile], *, alone: bool = True, **query: object) -> list[bytes | LogLine]:
        """What the files give, those that are there at the time."""
        return list(read_log_bytes(self._finder(files), self._query(query), alone=alone, sleep=self.sleep, files=self))

    def lines(self, files: Sequence[LogFile], **query: object) -> list[LogLine]:
        """The same as lines."""
        return list(read_logs(self._finder(files), self._query(query), sleep=self.sleep, files=self))

    def _finder(self, files: Sequence[LogFile]) -> Callable[[], list[LogFile]]:
        def find() -> list[LogFile]:
            self.looks += 1
            return [file for file in files if file.path in self.contents]

        return find

    def _query(self, query: dict[str, object]) -> LogQuery:
        return LogQuery(ended=lambda: not self.steps, **query)  # type: ignore[arg-type]  # as the test gives them


def joined(pieces: Iterable[bytes | LogLine]) -> bytes:
    """The bytes, without the gaps."""
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


def of(lines: Iterable[LogLine]) -> bytes:
    """The bytes of lines."""
    return b"".join(line.raw for line in lines)


def cut(data: bytes, draw: st.DataObject) -> list[bytes]:
    """The data in pieces."""
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[a:b] for a, b in pairwise([0, *cuts, len(data)])]


@given(ODD, st.data(), st.booleans())
def test_where_the_writes_fall_does_not_matter(data: bytes, draw: st.DataObject, alone: bool) -> None:  # noqa: FBT001
    """However it is written, a follower gets the bytes; so does who reads afterwards, and so do the lines."""
    story, again = Story(), Story()
    for piece in cut(data, draw):
        story.writes(LOG, piece)
        again.writes(LOG, piece)

    assert joined(story.pieces([LogFile(LOG)], alone=alone, follow=True)) == data
    assert of(again.lines([LogFile(LOG)], follow=True)) == data
    assert joined(story.pieces([LogFile(LOG)], alone=alone)) == data


@given(ODD, st.integers(0, 5))
def test_the_last_lines_are_those_that_lines_would_give(data: bytes, tail: int) -> None:
    """Ends and carriage returns counted alike."""
    story = Story()
    story.contents[LOG] = data

    assert joined(story.pieces([LogFile(LOG)], tail=tail)) == of(story.lines([LogFile(LOG)], tail=tail))


@given(st.lists(st.tuples(st.integers(0, 2), ODD.map(lambda b: b.replace(b"\r", b""))), max_size=8))
def test_lines_of_several_that_write_at_once_stay_whole(writes: list[tuple[int, bytes]]) -> None:
    """Each piece is a number of whole lines; only at the end of a file the last may have no end."""
    files = [LogFile(Path(str(i)), i) for i in range(3)]
    story = Story()
    for number, data in writes:
        story.writes(files[number].path, data)

    pieces = [piece for piece in story.pieces(files, alone=False, follow=True) if isinstance(piece, bytes)]

    written = [b"".join(data for number, data in writes if number == i) for i in range(3)]
    assert sorted(line for p in pieces for line in p.splitlines(keepends=True)) == sorted(
        line for data in written for line in data.splitlines(keepends=True)
    )


def test_what_has_no_line_end_comes_at_once() -> None:
    """A prompt or a row of dots is passed on as soon as it is there."""
    story = Story().writes(LOG, b"..")
    pieces = read_log_bytes(
        lambda: [LogFile(LOG)],
        LogQuery(follow=True, ended=lambda: False),
        alone=True,
        sleep=story.sleep,
        files=story,
    )

    assert next(pieces) == b".."


def test_one_that_writes_into_two_files_is_two() -> None:
    """Stdout and stderr apart: neither cuts into a line of the other."""
    out, err = LogFile(Path("out"), stream="stdout"), LogFile(Path("err"), stream="stderr")
    story = Story().writes(out.path, b"o").writes(err.path, b"err\n").writes(out.path, b"ut\n")

    assert joined(story.pieces([out, err], follow=True)) == b"err\nout\n"


@pytest.mark.parametrize(("left", "gap"), [(b"anew\n", "was cut from 11 to 5 bytes"), (None, "was removed")])
def test_a_gap_stands_in_its_place(left: bytes | None, gap: str) -> None:
    """It comes as a LogLine between what was read before and what is there now."""
    story = Story().writes(LOG, b"first\nhalf ")
    story.steps.append(lambda: story.contents.pop(LOG) if left is None else story.contents.update({LOG: left}))
    story.steps.append(lambda: story.contents.update({LOG: b"anew\n"}))

    pieces = story.pieces([LogFile(LOG)], follow=True)

    (at,) = [i for i, piece in enumerate(pieces) if isinstance(piece, LogLine)]
    told = pieces[at]
    assert isinstance(told, LogLine)
    assert told.gap
    assert gap in told.text
    assert (joined(pieces[:at]), joined(pieces[at:])) == (b"first\nhalf ", b"anew\n")


def test_attempts_follow_each_other() -> None:
    """One after the other, each whole; one alone where it is asked for."""
    files = [LogFile(Path(str(attempt)), 0, attempt) for attempt in (0, 1)]
    story = Story().writes(files[0].path, b"no end").writes(files[1].path, b"again\n")

    assert joined(story.pieces(files, follow=True)) == b"no endagain\n"
    assert joined(story.pieces(files)) == b"no endagain\n"
    assert joined(story.pieces(files, attempt=1)) == b"again\n"


def test_files_are_not_looked_for_between_any_two_reads() -> None:
    """A long log is read on without that: to look may cost more than to read."""
    story = Story().writes(LOG, b"x" * 3000)

    assert joined(story.pieces([LogFile(LOG)], follow=True)) == b"x" * 3000
    assert story.looks < 100  # of a thousand reads
