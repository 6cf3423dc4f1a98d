"""Text of other people on a terminal: nothing in it may drive the terminal."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"

# Colours, erasing to the end of the line and moving up (progress bars) may pass. Titles, the clipboard, reports that
# the terminal answers as if typed, modes and character sets may not.
_ESCAPES = re.compile(
    rb"(?P<kept>\x1b\[[0-9;:]*m|\x1b\[[0-2]?K|\x1b\[[0-9]{0,2}A)"
    rb"|\x1b\[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]"
    rb"|\x1b[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)?"
    rb"|\x1b[\x20-\x2f]*[\x30-\x7e]?"
    rb"|\xc2[\x80-\x9f]"
    rb"|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]"
)


def visible(text: str) -> str:
    r"""The text on one line, with control and bidirectional characters shown as ``\x1b`` and the like."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(c) for c in text)


def _shown(char: str) -> str:
    if char in _JOINERS or unicodedata.category(char) not in _INVISIBLE:
        return char
    return char.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """The text with line breaks folded into blanks, and otherwise visible."""
    return visible(" ".join(part.strip() for part in text.splitlines() if part.strip()))


def for_terminal(raw: bytes) -> bytes:
    """Log bytes without what could take over the terminal; colours and progress bars stay."""
    return _ESCAPES.sub(lambda match: match["kept"] or b"", raw)
