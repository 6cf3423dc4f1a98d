"""Tables: drawn for a person at a terminal, tab-separated and unwrapped for a pipe."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from gpujobs.cli import _layout as layout
from gpujobs.cli import _output as output
from gpujobs.cli._text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BOLD, _RED, _GREEN, _YELLOW, _CYAN = "1", "31", "32", "33", "36"
_STYLES = {
    "SUCCEEDED": _GREEN,
    "RUNNING": _CYAN,
    "FAILED": _RED,
    "LOST": _RED,
    "CANCELLED": _YELLOW,
    "PENDING": _YELLOW,
    "ok": _GREEN,
    "failed": _RED,
}
_EMPTY = "-"


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
    for line in drawn(columns, rows, one_line_each=one_line_each):
        output.line(line)


def drawn(columns: Sequence[str], rows: Sequence[Sequence[str]], *, one_line_each: bool = False) -> Iterator[str]:
    """The lines of a table for the terminal, with colours, without the columns that no row fills."""
    filled = [i for i in range(len(columns)) if i == 0 or not rows or any(row[i] for row in rows)]
    head = [columns[i] for i in filled]
    shown = [[visible(row[i]) or _EMPTY for i in filled] for row in rows]
    widths = layout.columns_of(head, shown, shutil.get_terminal_size().columns, cut=one_line_each)
    yield _styled(layout.joined([name.ljust(room) for name, room in zip(head, widths, strict=True)]), _BOLD)
    for cells in shown:
        for pieces in layout.lines_of(cells, widths, cut=one_line_each):
            yield layout.joined([_styled(piece, _STYLES.get(piece.rstrip(), "")) for piece in pieces])


def _styled(text: str, style: str) -> str:
    bare = text.rstrip()
    return f"\x1b[{style}m{bare}\x1b[0m{text[len(bare) :]}" if style and bare and not no_color() else text


def no_color() -> bool:
    """Whether the user wants no colours (no-color.org: set and not empty)."""
    return bool(os.environ.get("NO_COLOR"))
