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


def show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table. On a pipe: a line of column names, a line per row, cells never empty (``-``)."""
    if not output.is_terminal(sys.stdout):
        output.line("\t".join(columns))
        for row in rows:
            output.line("\t".join(visible(cell) or _EMPTY for cell in row))
        return
    from rich.console import Console  # noqa: PLC0415  # only a terminal needs it

    Console(highlight=False, markup=False, emoji=False, no_color=no_color()).print(draw(columns, rows))


def draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """The table as rich draws it; long cells fold, refs stay whole."""
    from rich.table import Table  # noqa: PLC0415  # only a terminal needs it
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*(Text(visible(cell) or _EMPTY, style=_STYLES.get(cell, "")) for cell in row))
    return table


def no_color() -> bool:
    """Whether the user wants no colours (no-color.org: set and not empty)."""
    return bool(os.environ.get("NO_COLOR"))
