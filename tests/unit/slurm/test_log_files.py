"""Logs of job directories, here and behind a connection that breaks: the bytes, and where pieces may end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Ref, UnavailableError
from gpujobs.backend import LogQuery
from gpujobs.testing import ManualClock
from gpujobs_slurm._logs import LogReader
from gpujobs_slurm._transport import CliTransport
from gpujobs_slurm.remote import records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpujobs import LogLine


class Story(ManualClock):
    """Each sleep writes the next piece into a file."""

    def __init__(self, path: Path, *pieces: bytes) -> None:
        super().__init__()
        self._path = path
        self._pieces = list(pieces)

    def sleep(self, seconds: float, /) -> None:
        """Write a piece, if one is left."""
        super().sleep(seconds)
        if self._pieces:
            with self._path.open("ab") as file:
                file.write(self._pieces.pop(0))

    def ended(self) -> bool:
        """Whether all is written."""
        return not self._pieces


class Far(CliTransport):
    """As if the files were elsewhere; of the questions about them every third is cut off."""

    remote = True

    def __init__(self) -> None:
        self._reads = 0

    def call(self, operation: str, /, *args: Any) -> Any:
        """Ask, or not."""
        if operation == "read_at":
            self._reads += 1
            if self._reads % 3 == 0:
                raise UnavailableError("The connection broke.")
        return super().call(operation, *args)


def record(root: Path, **claim: object) -> Path:
    """The job directory of job 7."""
    assert records.claim(str(root), "aa", {"claim.json": json.dumps({"key": "k", **claim}).encode()}, "n1")
    records.note_id(str(root), "aa", "n1", "7")
    return root / "aa"


def pieces(
    root: Path, clock: Story, ref: str = "7", transport: CliTransport | None = None, **query: Any
) -> list[bytes | LogLine]:
    """What following gives."""
    reader = LogReader(transport or CliTransport(), lambda: str(root), clock)
    return list(reader.read_bytes(Ref("slurm", "lab", ref), LogQuery(follow=True, ended=clock.ended, **query)))


@pytest.mark.parametrize("make", [CliTransport, Far])
def test_bytes_come_as_they_were_written(tmp_path: Path, make: Callable[[], CliTransport]) -> None:
    """Also through a connection that breaks again and again: none twice, none lost."""
    parts = [b"one\n10%\r", b"20%\r\xff", b"", b"\r", b"\nla", b"st"]
    clock = Story(record(tmp_path) / "log.0", *parts)

    found = pieces(tmp_path, clock, transport=make())

    assert b"".join(piece for piece in found if isinstance(piece, bytes)) == b"".join(parts)
    assert [piece for piece in found if not isinstance(piece, bytes)] == []


@pytest.mark.parametrize(
    ("claim", "log", "ref", "query", "whole"),
    [
        ({}, "log.0", "7", {}, False),
        ({"nodes": 2}, "log.r1.0", "7", {}, True),
        ({"nodes": 2}, "log.r1.0", "7", {"replica": 1}, False),
        ({"array": 2}, "log.1.0", "7", {}, True),
        ({"array": 2}, "log.1.0", "7_1", {}, False),
        ({"array": 2}, "log.1.0", "7", {"replica": 1}, False),
        ({"array": 2, "nodes": 2}, "log.1.0", "7_1", {}, True),
        ({"keys": ["a", "b"]}, "log.1.0", "7_1", {}, False),
    ],
)
def test_where_several_may_write_lines_stay_whole(
    tmp_path: Path, claim: dict[str, Any], log: str, ref: str, query: dict[str, Any], *, whole: bool
) -> None:
    """Also while only one of them has begun; the log of a single copy comes at once."""
    clock = Story(record(tmp_path, **claim) / log, b"..", b".\n")

    assert pieces(tmp_path, clock, ref, **query) == ([b"...\n"] if whole else [b"..", b".\n"])
