"""A page of a LIST, read one object at a time.

An object is let go before the next one is decoded, so a page of hundreds is never held as tables: that takes a tenth of
the memory, and half of the time, most of which Python's collector would spend on looking for garbage among them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from gpujobs_kubernetes._tables import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

Table = dict[str, Any]
_decoded = json.JSONDecoder().raw_decode
_blank = re.compile(r"[ \t\r\n]*").match


class Page:
    """The reply to one LIST; ``items`` can be gone through once.

    Attributes:
        more: The token of the next page, or empty. The API server writes it before the objects, so it is known at once.
    """

    def __init__(self, data: bytes) -> None:
        self._text = data.decode()
        self._at = 0
        self._fields: Table = {}
        self._there = self._read_fields(first=True)

    @property
    def more(self) -> str:
        """The token of the next page, or empty: for sure once all objects were read."""
        return str(inside(self._fields, "metadata").get("continue") or "")

    def items(self) -> Iterator[Table]:
        """The objects, one by one.

        Raises:
            ValueError: The reply is no JSON.
        """
        while self._there:
            if self._next("]"):
                self._there = self._read_fields(first=False)
                return
            yield self._value()
            self._next(",")

    def _read_fields(self, *, first: bool) -> bool:
        """Read the fields that are not the objects, up to these or to the end; whether the objects come next."""
        if first:
            self._need("{")
        while not self._next("}"):
            self._next(",")
            key = self._value()
            self._need(":")
            if key == "items" and self._next("["):
                return True
            self._fields[key] = self._value()
        return False

    def _value(self) -> Any:
        found, self._at = _decoded(self._text, self._skip())
        return found

    def _skip(self) -> int:
        match = _blank(self._text, self._at)
        return self._at if match is None else match.end()

    def _next(self, sign: str) -> bool:
        """Step over a sign, if that comes next."""
        at = self._skip()
        if not self._text.startswith(sign, at):
            return False
        self._at = at + len(sign)
        return True

    def _need(self, sign: str) -> None:
        if not self._next(sign):
            raise json.JSONDecodeError(f"Expecting {sign!r}", self._text, self._at)
