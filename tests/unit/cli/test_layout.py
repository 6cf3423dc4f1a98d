"""Tables on a terminal: what stays whole, and what is folded or cut."""

from __future__ import annotations

from typing import Protocol

import pytest

from gpujobs.cli import _layout as layout
from gpujobs.cli import _table as table

HEAD = ("REF", "STATE", "NODES", "REASON")
ROW = ("slurm://lab/123456789", "SUCCEEDED", "gpu-node-01,gpu-node-02", "exit-code: the command ended with 3")


class Draw(Protocol):
    """Draws a table."""

    def __call__(self, width: int, *rows: tuple[str, ...], cut: bool = False) -> list[str]:
        """Its lines."""
        ...


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Draw without colours on a terminal of a width."""
    monkeypatch.setenv("NO_COLOR", "1")

    def draw(width: int, *rows: tuple[str, ...], cut: bool = False) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        return list(table.drawn(HEAD, rows, one_line_each=cut))

    return draw


def test_what_fits_is_one_line_each(drawn: Draw) -> None:
    """Columns stand below each other, two blanks apart, with no blank at the end of a line."""
    assert drawn(100, ROW, ("local://l/1", "LOST", "", "")) == [
        "REF                    STATE      NODES                    REASON",
        "slurm://lab/123456789  SUCCEEDED  gpu-node-01,gpu-node-02  exit-code: the command ended with 3",
        "local://l/1            LOST       -                        -",
    ]


def test_what_does_not_fit_is_folded_and_refs_and_states_stay_whole(drawn: Draw) -> None:
    """The widest give way, at blanks where there are any."""
    assert drawn(70, ROW) == [
        "REF                    STATE      NODES              REASON",
        "slurm://lab/123456789  SUCCEEDED  gpu-node-01,gpu-n  exit-code: the",
        "                                  ode-02             command ended",
        "                                                     with 3",
    ]


def test_one_line_each_cuts_the_last_column(drawn: Draw) -> None:
    """With a mark that something is missing; on no terminal is a ref cut."""
    row = (*ROW[:2], "gpu-01", ROW[3])
    assert drawn(60, row, cut=True)[1:] == ["slurm://lab/123456789  SUCCEEDED  gpu-01  exit-code: the co…"]
    assert drawn(20, row, cut=True)[1].startswith("slurm://lab/123456789  SUCCEEDED  ")


@pytest.mark.parametrize(
    ("text", "cells"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("ok\u200d", 2), ("🚀", 2), ("", 0)]
)
def test_text_of_the_world_keeps_the_columns(text: str, cells: int) -> None:
    """Wide letters take two cells, marks and joiners none; a folded piece never takes more than its room."""
    assert layout.width_of(text) == cells
    pieces = [line[0] for line in layout.lines_of([text * 9], [5], cut=False)]
    assert {layout.width_of(piece) for piece in pieces} == {5}
    assert "".join(piece.rstrip() for piece in pieces) == text * 9


def test_a_column_that_no_row_fills_is_left_out(drawn: Draw) -> None:
    """A table without rows has all of its head."""
    assert drawn(100, ("a", "b", "", "c"))[0] == "REF  STATE  REASON"
    assert drawn(100) == ["REF  STATE  NODES  REASON"]


def test_many_rows_are_one_line_each(drawn: Draw) -> None:
    """Where the others have room, the last column alone gives way."""
    lines = drawn(80, *[ROW] * 1000, cut=True)
    assert len(lines) == 1001
    assert set(lines[1:]) == {"slurm://lab/123456789  SUCCEEDED  gpu-node-01,gpu-node-02  exit-code: the comma…"}
