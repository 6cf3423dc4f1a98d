"""Replies that come piece by piece, in chunks as the API server sends a line of a log each: all of it, or an error."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpujobs.errors import UnavailableError
from gpujobs.testing.clock import ManualClock
from gpujobs_kubernetes import KubernetesOptions
from gpujobs_kubernetes._api import Api
from gpujobs_kubernetes._loglines import Cursor, Source
from gpujobs_kubernetes._logs import snapshot

from .test_edge import kubeconfig

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from gpujobs.results import LogLine

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LINES = [b"2026-01-01T00:00:00.%09dZ line %d\n" % (i, i) for i in range(9)]
LARGE = b"2026-01-01T00:00:00.000000010Z " + b"x" * 200_000 + b"\n"


def chunk(data: bytes) -> bytes:
    """As HTTP/1.1 sends it."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class Speaker:
    """A server that sends what it was told, in packets of its own, and hangs up."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[Sequence[bytes]] = []
        """Packets of each reply; the last one is given again and again."""
        self.answered = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        file = kubeconfig(folder / "config", f"http://127.0.0.1:{self.socket.getsockname()[1]}")
        self.api = Api(KubernetesOptions(kubeconfig=str(file), timeout=60), ManualClock())
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:  # closed
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, connection.makefile("rb") as asked, suppress(OSError):  # who had enough hangs up first
                while asked.readline().strip():
                    pass
                said = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
                for packet in said:
                    connection.sendall(packet)
                self.answered += 1

    @contextmanager
    def answering(self, *packets: bytes) -> Generator[Iterator[bytes]]:
        """The pieces of a reply."""
        self.answers = [packets]
        with self.api.stream("/x", {}, read_timeout=60) as response:
            yield self.api.pieces(response)


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    """A server."""
    made = Speaker(tmp_path_factory.mktemp("speaker"))
    yield made
    made.api.close()
    made.socket.shutdown(socket.SHUT_RDWR)
    made.socket.close()


def test_each_chunk_comes_as_soon_as_it_is_there(speaker: Speaker) -> None:
    """One piece per line; a large chunk in several, so that none is held whole."""
    with speaker.answering(CHUNKED, *map(chunk, LINES), chunk(LARGE), b"0\r\n\r\n") as pieces:
        found = list(pieces)

    assert found[: len(LINES)] == LINES
    assert b"".join(found[len(LINES) :]) == LARGE
    assert max(map(len, found)) < len(LARGE)


@pytest.mark.parametrize("head", [HEAD + b"\r\n", HEAD + b"Content-Length: %d\r\n\r\n" % len(b"".join(LINES))])
def test_a_reply_without_chunks_is_read_too(speaker: Speaker, head: bytes) -> None:
    """As old proxies send it."""
    with speaker.answering(head, *LINES) as pieces:
        assert b"".join(pieces) == b"".join(LINES)


WHOLE = b"".join(map(chunk, LINES))
WHOLE_CHUNKS = [b"".join(map(chunk, LINES[: i + 1])) for i in range(len(LINES))]
"""The first chunk, the first two, and so on."""


@settings(deadline=None, max_examples=60)
@given(end=st.integers(0, len(WHOLE)))
def test_a_connection_that_is_cut_is_no_end(speaker: Speaker, end: int) -> None:
    """Within a chunk, between two, in the size of one: what came whole is given, then an error."""
    found: list[bytes] = []
    with speaker.answering(CHUNKED + WHOLE[:end]) as pieces, pytest.raises(UnavailableError):
        found.extend(pieces)

    whole = sum(len(WHOLE_CHUNKS[i]) <= end for i in range(len(LINES)))
    assert found == LINES[:whole]


def test_what_a_log_held_before_a_cut_is_given(speaker: Speaker) -> None:
    """A log that is read once gives its whole lines, then the error."""
    speaker.answers = [(CHUNKED + WHOLE[:-5],)]
    found: list[LogLine] = []
    with pytest.raises(UnavailableError):
        found.extend(snapshot(speaker.api, Cursor(Source("ns", "p", "u", 0, 0))))

    assert [line.text for line in found] == [f"line {i}" for i in range(len(LINES) - 1)]


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=20))
def test_packets_do_not_matter(speaker: Speaker, cuts: list[int]) -> None:
    """Any split of the bytes gives the same."""
    ends = [0, *sorted(cuts), len(WHOLE)]
    packets = [WHOLE[a:b] for a, b in pairwise(ends)]
    with speaker.answering(CHUNKED, *packets, b"0\r\n\r\n") as pieces:
        assert b"".join(pieces) == b"".join(LINES)


TEXT = st.text(alphabet="ab \r\n\u00e9", max_size=8).map(str.encode)


@given(st.lists(TEXT, max_size=8), st.lists(st.integers(0, 400), max_size=12))
def test_pieces_of_any_size_give_the_same_lines(texts: list[bytes], cuts: list[int]) -> None:
    r"""Also within a timestamp, a character or a ``\r\n``."""
    source = Source("ns", "p", "u", 0, 0)
    data = b"".join(b"2026-01-01T00:00:00.%09dZ %s\n" % (i, text) for i, text in enumerate(texts))
    once = Cursor(source)
    expected = once.feed(data) + once.finish()

    cursor, ends = Cursor(source), [0, *sorted(cuts), len(data)]
    found = [line for a, b in pairwise(ends) for line in cursor.feed(data[a:b])] + cursor.finish()
    assert found == expected
    assert (cursor.stamp, cursor.same) == (once.stamp, once.same)
