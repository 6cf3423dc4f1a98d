"""The contract about logs: as lines, and as bytes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gpujobs.testing._base import ContractBase

if TYPE_CHECKING:
    from gpujobs import Client


class LogsContract(ContractBase):
    """Every log comes byte for byte, every line once."""

    def test_the_log_is_what_was_written(self, client: Client) -> None:
        """Lines come back byte for byte: carriage returns, invalid UTF-8, no newline at the end."""
        job, _ = self.run(client, self.job(r"printf 'one\n10%%\r20%%\r\377\nlast'"))

        lines = list(job.logs())
        assert b"".join(line.raw for line in lines) == b"one\n10%\r20%\r\xff\nlast"
        assert [line.text for line in lines] == ["one", "10%", "20%", "\ufffd", "last"]

    def test_the_bytes_of_a_log_are_those_of_its_lines(self, client: Client) -> None:
        """Whole, followed after the end, of a copy, of an attempt, from the tail; no line end is made up."""
        written = b"one\n10%\r20%\r\xff\nlast"  # not `\r\n`: some container runtimes keep no `\r` at the end of a line
        job, _ = self.run(client, self.job(r"printf 'one\n10%%\r20%%\r\377\nlast'"))

        assert self.raw(job) == self.raw(job, follow=True) == written
        assert self.raw(job, replica=0) == self.raw(job, attempt=0) == written
        assert self.raw(job, tail=2) == b"".join(line.raw for line in job.logs(tail=2))

    def test_following_gives_every_line_once_and_ends(self, client: Client) -> None:
        """A follower from before the start sees all lines, in order, and returns at the end."""
        job = client.submit(self.job("for i in 1 2 3 4 5; do echo $i; sleep 0.3; done"), target=self.target)

        with ThreadPoolExecutor(1) as pool:
            raw = pool.submit(self.raw, job, follow=True)
            assert self.text(job, follow=True) == ["1", "2", "3", "4", "5"]
            assert raw.result(self.patience) == b"1\n2\n3\n4\n5\n"
        assert job.wait(timeout=self.patience).succeeded

    def test_tail_gives_the_last_lines(self, client: Client) -> None:
        """``tail=2`` gives two, ``tail=0`` none."""
        job, _ = self.run(client, self.job("seq 10"))

        assert self.text(job, tail=2) == ["9", "10"]
        assert self.text(job, tail=0) == []
        assert (self.raw(job, tail=2), self.raw(job, tail=0)) == (b"9\n10\n", b"")
