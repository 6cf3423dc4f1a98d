"""Append-only log files: lines cut right, followed by offset, never twice and never lost in silence."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpujobs import RejectedError
from gpujobs._logsource import CHUNK
from gpujobs.backend import LogQuery
from gpujobs.logfiles import LineSplitter, LogFile, LogTail, read_logs, tail_offset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def split(*pieces: bytes) -> list[bytes]:
    """All lines of some pieces, the unfinished one included."""
    splitter = LineSplitter()
    return [line for piece in pieces for line in splitter.feed(piece)] + splitter.flush()


class Script:
    """A sleep that, instead of sleeping, does the next step of a story; it is over after the last one."""

    def __init__(self, steps: Sequence[Callable[[], object]]) -> None:
        self._steps = list(steps)

    def sleep(self, seconds: float) -> None:
        """Do the next step."""
        assert seconds > 0
        self._steps.pop(0)()

    def ended(self) -> bool:
        """Whether all steps are done."""
        return not self._steps


def append(path: Path, data: bytes) -> Callable[[], object]:
    """A step that appends to a file."""

    def step() -> None:
        with path.open("ab") as f:
            f.write(data)

    return step


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ((b"a\nb\n",), [b"a\n", b"b\n"]),
        ((b"a\r\nb",), [b"a\r\n", b"b"]),
        ((b"a\r", b"\nb"), [b"a\r\n", b"b"]),
        ((b"10%\r20%\r",), [b"10%\r", b"20%\r"]),
        ((b"a\r", b"\r", b"\n"), [b"a\r", b"\r\n"]),
        ((b"a", b"b", b"\n", b"c"), [b"ab\n", b"c"]),
        ((b"\n\n",), [b"\n", b"\n"]),
        ((b"a\x0b\x0c\x1c\xc2\x85b\n",), [b"a\x0b\x0c\x1c\xc2\x85b\n"]),
        ((b"",), []),
    ],
)
def test_lines_end_at_newline_return_or_both(pieces: tuple[bytes, ...], lines: list[bytes]) -> None:
    """LF, CR and CRLF end a line, also in two pieces; nothing else does."""
    assert split(*pieces) == lines


@given(st.binary(max_size=60).map(lambda b: b.translate(bytes(b"\r\nab"[i % 4] for i in range(256)))), st.data())
def test_where_the_reads_fall_does_not_matter(data: bytes, draw: st.DataObject) -> None:
    """However the bytes are cut into reads, the lines are the same, and joined they are the bytes."""
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    pieces = [data[a:b] for a, b in pairwise([0, *cuts, len(data)])]

    lines = split(*pieces)

    assert lines == data.splitlines(keepends=True)
    assert b"".join(lines) == data


def test_a_line_without_end_comes_in_pieces() -> None:
    """Memory stays bounded when a line never ends; the bytes are all there."""
    splitter = LineSplitter(longest=10)

    lines = [line for _ in range(5) for line in splitter.feed(b"12345678")] + splitter.flush()

    assert max(map(len, lines)) <= 18
    assert b"".join(lines) == b"12345678" * 5


def test_reading_without_follow_ends(tmp_path: Path) -> None:
    """What is there is given, the unfinished line included, replica by replica, attempts oldest first."""
    files = [LogFile(tmp_path / f"{r}.{a}", r, a) for r in (1, 0) for a in (1, 0)]
    for file in files:
        file.path.write_bytes(f"r{file.replica}a{file.attempt}\nrest".encode())

    lines = list(read_logs(lambda: files, LogQuery()))

    assert [(x.replica, x.attempt, x.text) for x in lines] == [
        (r, a, text) for r in (0, 1) for a in (0, 1) for text in (f"r{r}a{a}", "rest")
    ]


def test_following_gives_lines_as_they_come_and_files_that_appear_later(tmp_path: Path) -> None:
    """A pending workload's file appears, grows, the next attempt's file appears, and the end is drained."""
    first, second = tmp_path / "0.0", tmp_path / "0.1"
    story = Script(
        [
            append(first, b"one\ntw"),
            append(first, b"o\n"),
            append(second, b"again\n"),
            append(second, b"last words"),
        ]
    )

    def find() -> list[LogFile]:
        return [LogFile(p, 0, i) for i, p in enumerate((first, second)) if p.exists()]

    lines = list(read_logs(find, LogQuery(follow=True, ended=story.ended), sleep=story.sleep))

    assert [(x.attempt, x.text) for x in lines] == [(0, "one"), (0, "two"), (1, "again"), (1, "last words")]


def test_the_last_line_of_an_attempt_comes_before_the_next_attempt(tmp_path: Path) -> None:
    """It has no end and never will: nobody waits for one until the workload has ended."""
    files = [LogFile(tmp_path / str(attempt), 0, attempt) for attempt in (0, 1)]
    story = Script([append(files[0].path, b"cut o"), append(files[0].path, b"ff"), append(files[1].path, b"again\n")])

    def find() -> list[LogFile]:
        return [file for file in files if file.path.exists()]

    lines = list(read_logs(find, LogQuery(follow=True, ended=story.ended), sleep=story.sleep))

    assert [(x.attempt, x.text) for x in lines] == [(0, "cut off"), (1, "again")]


def test_a_return_is_shown_without_waiting_for_more(tmp_path: Path) -> None:
    """A progress bar's line comes at its CR, one look later, and not only with the next byte."""
    path = tmp_path / "log"
    path.write_bytes(b"50%\r")
    tail = LogTail(LogFile(path))

    looks = [tail.read() for _ in range(3)]

    assert [[x.raw for x in look] for look in looks] == [[], [b"50%\r"], []]


@pytest.mark.parametrize(("tail", "texts"), [(0, []), (1, ["z"]), (2, ["y", "z"]), (9, ["x", "y", "z"])])
def test_tail_gives_the_last_lines(tmp_path: Path, tail: int, texts: list[str]) -> None:
    """Only the last N lines are given, an unfinished one counts."""
    path = tmp_path / "log"
    path.write_bytes(b"x\r\ny\nz")

    assert [x.text for x in read_logs(lambda: [LogFile(path)], LogQuery(tail=tail))] == texts


def test_tail_reaches_back_into_former_attempts(tmp_path: Path) -> None:
    """The last lines of a replica may lie in several attempts; each replica has its own."""
    for name, data in {"0.0": b"a\nb\n", "0.1": b"c\n", "1.0": b"x\ny\nz\n"}.items():
        (tmp_path / name).write_bytes(data)
    files = [LogFile(tmp_path / n, int(n[0]), int(n[2])) for n in ("0.0", "0.1", "1.0")]

    lines = [x.text for x in read_logs(lambda: files, LogQuery(tail=2))]

    assert lines == ["b", "c", "y", "z"]


def test_tail_then_follow_goes_on_from_there(tmp_path: Path) -> None:
    """The last line is given once, then what comes."""
    path = tmp_path / "log"
    path.write_bytes(b"old\nnew\n")
    story = Script([append(path, b"newer\n")])

    lines = read_logs(lambda: [LogFile(path)], LogQuery(follow=True, tail=1, ended=story.ended), sleep=story.sleep)

    assert [x.text for x in lines] == ["new", "newer"]


def test_tail_reads_only_the_end_of_a_large_file(tmp_path: Path) -> None:
    """The offset is found from the end, across several blocks."""
    path = tmp_path / "log"
    line = b"x" * 99 + b"\n"
    path.write_bytes(line * (5 * CHUNK // 100))

    offset, found = tail_offset(path, 4000)

    assert found == 4000
    assert offset == path.stat().st_size - 4000 * 100


def test_only_the_replica_and_attempt_asked_for(tmp_path: Path) -> None:
    """Other copies and other attempts stay out."""
    files = [LogFile(tmp_path / f"{r}.{a}", r, a) for r in (0, 1) for a in (0, 1)]
    for file in files:
        file.path.write_bytes(f"r{file.replica}a{file.attempt}\n".encode())

    assert [x.text for x in read_logs(lambda: files, LogQuery(replica=1))] == ["r1a0", "r1a1"]
    assert [x.text for x in read_logs(lambda: files, LogQuery(replica=1, attempt=0))] == ["r1a0"]


def test_a_cut_file_is_one_marked_gap(tmp_path: Path) -> None:
    """Truncation is never silent: one gap, then what is in the file now."""
    path = tmp_path / "log"
    path.write_bytes(b"first line\nsecond\n")
    story = Script([lambda: path.write_bytes(b"anew\n")])

    lines = list(read_logs(lambda: [LogFile(path)], LogQuery(follow=True, ended=story.ended), sleep=story.sleep))

    assert [x.text for x in lines if not x.gap] == ["first line", "second", "anew"]
    assert [x.gap for x in lines] == [False, False, True, False]


def test_a_removed_file_is_one_marked_gap(tmp_path: Path) -> None:
    """A file taken away while it is followed is told once."""
    path = tmp_path / "log"
    path.write_bytes(b"line\npart")
    story = Script([path.unlink, lambda: None])

    lines = list(read_logs(lambda: [LogFile(path)], LogQuery(follow=True, ended=story.ended), sleep=story.sleep))

    assert [(x.text, x.gap) for x in lines[:2]] == [("line", False), ("part", False)]
    assert [x.gap for x in lines[2:]] == [True]


def test_a_directory_in_place_of_a_log_is_one_error(tmp_path: Path) -> None:
    """Said with its path, as an error of ours."""
    with pytest.raises(RejectedError, match="Is a directory"):
        list(read_logs(lambda: [LogFile(tmp_path)], LogQuery()))


def test_a_follower_can_be_stopped(tmp_path: Path) -> None:
    """``stop`` ends it although the workload goes on."""
    path = tmp_path / "log"
    path.write_bytes(b"line\n")
    story = Script([lambda: None, lambda: None])

    lines = read_logs(lambda: [LogFile(path)], LogQuery(follow=True, stop=story.ended), sleep=story.sleep)

    assert [x.text for x in lines] == ["line"]
