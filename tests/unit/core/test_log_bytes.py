"""``log_bytes``: from a backend that has bytes, from one that has lines, and what neither may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config, GpuJob, LogLine, NotFoundError, SpecError
from gpujobs.backend import SupportsLogBytes
from gpujobs.testing import MemoryBackend, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpujobs import Ref
    from gpujobs.backend import LogQuery

JOB = GpuJob(command=["train"])
GAP = LogLine("The rest was dropped.", gap=True)


class Dropping(MemoryBackend):
    """Tells after each log that some of it is missing."""

    def logs(self, ref: Ref, query: LogQuery, /) -> Iterator[LogLine]:
        """The lines, then a gap."""
        yield from super().logs(ref, query)
        yield GAP


class Piecewise(MemoryBackend):
    """Has bytes, in pieces of four."""

    asked: LogQuery

    def log_bytes(self, ref: Ref, query: LogQuery, /) -> Iterator[bytes | LogLine]:
        """Note the question."""
        self.asked = query
        whole = b"".join(line.raw for line in self.logs(ref, query))
        yield from (whole[i : i + 4] for i in range(0, len(whole), 4))


def client_of(backend: MemoryBackend, directory: Path) -> Client:
    """A client of that backend alone; its jobs write two lines in ten seconds."""
    backend.outcome = lambda _: Outcome(output=b"one\r\ntwo\xff", seconds=10)
    return Client(Config(), backends={"memory": backend}, clock=backend.clock, state_dir=directory)


@pytest.mark.parametrize("follow", [False, True])
def test_a_backend_without_bytes_gives_those_of_its_lines(tmp_path: Path, *, follow: bool) -> None:
    """A line a piece, and a gap as what it is."""
    job = client_of(Dropping.create(), tmp_path).submit(JOB)

    assert list(job.log_bytes(follow=follow)) == [b"one\r\n", b"two\xff", GAP]


def test_a_backend_with_bytes_is_asked_for_them(tmp_path: Path) -> None:
    """With everything that was asked for; a follower still learns of the end from the shared poller."""
    backend = Piecewise.create()
    assert isinstance(backend, Piecewise)
    assert isinstance(backend, SupportsLogBytes)
    client = client_of(backend, tmp_path)
    job = client.submit(JOB)

    pieces = list(job.log_bytes(follow=True, tail=1, replica=0, attempt=0))

    assert pieces == [b"two\xff"]
    asked = backend.asked
    assert (asked.follow, asked.tail, asked.replica, asked.attempt) == (True, 1, 0, 0)
    assert job.status().succeeded


def test_who_follows_bytes_can_stop(tmp_path: Path) -> None:
    """Although the workload goes on."""
    client = client_of(MemoryBackend.create(), tmp_path)
    job = client.submit(JOB)

    assert list(client.log_bytes(job, follow=True, stop=lambda: True)) == [b"one\r\n", b"two\xff"]
    assert not job.status().final


def test_a_bad_question_is_refused(tmp_path: Path) -> None:
    """As by ``logs``."""
    client = client_of(MemoryBackend.create(), tmp_path)

    with pytest.raises(SpecError, match="tail=-1"):
        client.log_bytes("memory://memory/1", tail=-1)
    with pytest.raises(NotFoundError):
        list(client.log_bytes("memory://memory/99"))
