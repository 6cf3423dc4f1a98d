"""The fenced blocks of a Markdown file, and the remark that may stand before one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("backends/*.md")])
_FENCE = re.compile(
    r"^(?:<!-- (?P<remark>[^\n]*?) -->\n\n?)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """One fenced block.

    Its ``remark`` may be ``from PATH`` (it quotes a file), ``not run: WHY`` (Python that is only shown) or ``run`` (a
    console block that runs).
    """

    page: str
    number: int
    language: str
    remark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"


def blocks(*languages: str) -> list[Block]:
    """All blocks of those languages, page by page."""
    found: list[Block] = []
    for page in PAGES:
        for number, match in enumerate(_FENCE.finditer(page.read_text())):
            block = Block(str(page.relative_to(ROOT)), number, match["language"], match["remark"] or "", match["text"])
            found += [block] * (block.language in languages)
    return found


def to_run(*languages: str) -> list[Block]:
    """Those that are no quotation and not marked otherwise."""
    return [b for b in blocks(*languages) if not b.remark.startswith(("from ", "not run: "))]
