"""Tables: drawn for a person at a terminal, tab-separated and unwrapped for a pipe."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gpujobs.cli import _output as output
from gpujobs.cli._text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

_STYLES = {
    "SUCCEEDED": "green",
    "RUNNING": "cyan",
    "FAILED": "red",
    "LOST": "red",
    "CANCELLED": "yellow",
    "PENDING": "yellow",
    "ok": "green",
    "failed": "red",
}
_EMPTY = "-"
_SHORT = 12


def show(columns: Sequence[str], rows: Sequence[Sequence[str]], *, one_line_each: bool = False) -> None:
    """Print a table. On a pipe: a line of column names, a line per row, cells never empty (``-``).

    Args:
        columns: Their names.
        rows: A cell per column.
        one_line_each: On a terminal, cut the last column rather than fold it.
    """
    if not output.is_terminal(sys.stdout):
        output.line("\t".join(columns))
        for row in rows:
            output.line("\t".join(visible(cell) or _EMPTY for cell in row))
        return
    from rich.console import Console  # noqa: PLC0415  # only a terminal needs it

    Console(highlight=False, markup=False, emoji=False, no_color=no_color()).print(
        draw(columns, rows, one_line_each=one_line_each)
    )


def draw(columns: Sequence[str], rows: Sequence[Sequence[str]], *, one_line_each: bool = False) -> Table:
    """The table as rich draws it: without the columns that no row fills, the first and the short ones kept whole."""
    from rich.table import Table  # noqa: PLC0415  # only a terminal needs it
    from rich.text import Text  # noqa: PLC0415

    filled = [i for i in range(len(columns)) if i == 0 or not rows or any(row[i] for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="" if no_color() else "bold")
    for i in filled:
        short = all(len(row[i]) <= _SHORT for row in rows)
        table.add_column(columns[i], overflow="fold", no_wrap=i == 0 or short, min_width=len(columns[i]))
    for row in rows:
        cells = [Text(visible(row[i]) or _EMPTY, style=_STYLES.get(row[i], "")) for i in filled]
        if one_line_each:
            cells[-1].no_wrap, cells[-1].overflow = True, "ellipsis"
        table.add_row(*cells)
    return table


def no_color() -> bool:
    """Whether the user wants no colours (no-color.org: set and not empty)."""
    return bool(os.environ.get("NO_COLOR"))
