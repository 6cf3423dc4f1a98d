"""What a workload says about itself cannot drive the terminal."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from gpujobs.cli._text import for_terminal, visible

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli


HOSTILE = "a\x1b]0;owned\x07\r\n\t\u202egnp.exe\x9b2J\U0001f600"


def test_hostile_names_stay_in_their_cell(cli: Cli) -> None:
    """Escapes, line breaks, tabs and direction marks in a name are shown, in tables as in JSON."""
    job = cli("submit", "--name", HOSTILE, "--", "work").out.strip()

    table = cli("status", job)
    as_json = cli("status", "--json", job)

    row = table.out.splitlines()[1]
    assert len(row.split("\t")) == 10
    assert row.split("\t")[1] == r"a\x1b]0;owned\x07\r\n\t\u202egnp.exe\x9b2J" + "\U0001f600"
    assert as_json.out.isascii()
    assert "\x1b" not in as_json.out
    assert json.loads(as_json.out)["name"] == HOSTILE


def test_joined_emoji_stay_whole() -> None:
    """A zero-width joiner is part of an emoji."""
    assert visible("👩\u200d🚀") == "👩\u200d🚀"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[1;31mred\x1b[0m\n", b"\x1b[1;31mred\x1b[0m\n"),
        (b"50%|##\r", b"50%|##\r"),
        (b"\x1b[A\x1b[K bar\r\n", b"\x1b[A\x1b[K bar\r\n"),
        (b"\x1b]0;title\x07x", b"x"),
        (b"\x1b]52;c;ZXZpbA==\x1b\\x", b"x"),
        (b"\x1b]0;open\nnext", b"\nnext"),
        (b"\x1bP+q\x1b\\x", b"x"),
        (b"\x1b[2J\x1b[H\x1b[?1049hx", b"x"),
        (b"\x1b[6nx\x1b[cx", b"xx"),
        (b"\x1bcx\x1b(0x\x1b", b"xx"),
        (b"\xc2\x9b2Jx\x05\x0e\x00", b"2Jx"),
        ("é🙂\t\b".encode(), "é🙂\t\b".encode()),
        (b"\x1b\x1b]0;t\x07x", b"x"),
        (b"\x1b[\x1b[31mx", b"\x1b[31mx"),
        (b"\x1b[3\n1mx", b"3\n1mx"),
        (b"\xff\xfe", b"\xff\xfe"),
    ],
)
def test_terminal_filter(raw: bytes, shown: bytes) -> None:
    """Colours and bars pass to a terminal; what could take it over does not."""
    assert for_terminal(raw) == shown


def test_raw_is_given_where_text_is_lossy(cli: Cli) -> None:
    """Bytes that are no UTF-8 are in ``raw``, in base64."""
    from gpujobs.cli._log import as_dict  # noqa: PLC0415  # beside its only test
    from gpujobs.results import LogLine  # noqa: PLC0415

    assert cli
    assert base64.b64decode(as_dict(LogLine.of(b"\xff\n"))["raw"]) == b"\xff\n"
