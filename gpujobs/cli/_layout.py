"""A table as lines of text: columns side by side, folded or cut where there is no room for them.

rich takes half a second of CPU for a thousand rows, and cuts states and names where a terminal is narrow.
"""

from __future__ import annotations

import unicodedata
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GAP = "  "
_SHORT = 12
_CUT = "…"


def columns_of(head: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, cut: bool) -> list[int]:
    """How wide each column is, so that a row fits in ``width``; with ``cut`` the last one gives way first.

    The first column and the short ones stay whole: a row that cannot fit even so is for the terminal to wrap.
    """
    widths = [max(map(width_of, cells)) for cells in zip(head, *rows, strict=True)]
    least = [w if i == 0 or w <= _SHORT else max(_SHORT, width_of(head[i])) for i, w in enumerate(widths)]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    if cut and excess > 0:
        given = min(excess, widths[-1] - least[-1])
        widths[-1] -= given
        excess -= given
    while excess > 0 and widths != least:
        widest = max((i for i, w in enumerate(widths) if w > least[i]), key=lambda i: widths[i])
        widths[widest] -= 1
        excess -= 1
    return widths


def lines_of(cells: Sequence[str], widths: Sequence[int], *, cut: bool) -> Iterator[list[str]]:
    """The lines of one row, as padded pieces; where something is too long, the row has several.

    Args:
        cells: One for each column.
        widths: Those of the columns.
        cut: Cut the last cell rather than fold it.
    """
    if all(width_of(cell) <= room for cell, room in zip(cells, widths, strict=True)):
        yield [*map(_padded, cells, widths)]
        return
    folded = [_folded(cell, room) for cell, room in zip(cells, widths, strict=True)]
    if cut and len(folded[-1]) > 1:
        folded[-1] = [_head(cells[-1], widths[-1] - 1) + _CUT]
    for pieces in zip_longest(*folded, fillvalue=""):
        yield [*map(_padded, pieces, widths)]


def joined(pieces: Sequence[str]) -> str:
    """One line of them."""
    return _GAP.join(pieces).rstrip()


def width_of(text: str) -> int:
    """How many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _padded(text: str, room: int) -> str:
    return text + " " * (room - width_of(text))


def _head(text: str, room: int) -> str:
    """As much of the text as fits."""
    for end, char in enumerate(text):
        room -= _cells(char)
        if room < 0:
            return text[:end]
    return text


def _folded(text: str, room: int) -> list[str]:
    """Pieces that fit, broken at blanks where there are any."""
    pieces: list[str] = []
    while width_of(text) > room:
        head = _head(text, room) or text[0]
        blank = head.rfind(" ")
        if blank > 0 and not text[len(head) :].startswith(" "):
            head = head[:blank]
        pieces.append(head.rstrip())
        text = text[len(head) :].lstrip()
    return [*pieces, text]
