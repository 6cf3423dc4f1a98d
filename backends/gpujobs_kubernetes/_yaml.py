"""Manifests as YAML text: what is shown is, byte for byte, what is sent.

PyYAML's own output is not safe here: it leaves ``y`` and ``1_0`` bare, which Go's reader takes for a boolean and a
number. Here every text is quoted, or a literal block, so that no text means anything.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*", re.ASCII)
_RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_BLOCK = re.compile(r"[!-~][ -~]*(\n[ -~]*)*\n[ -~]*[!-~]\n?", re.ASCII)
"""Texts of several lines that a literal block shows as they are: the first and the last line say something."""
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
# What a YAML reader must take inside quotes: printable characters. All else is written as an escape.
_ESCAPED = re.compile(r'[\\"]|[^ -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]')
_BYTE = 0x100
_SHORT = 0x10000


def dump_all(manifests: Iterable[Mapping[str, Any]]) -> str:
    """Several manifests as one text; keys stay in their order."""
    return "---\n".join(dump(manifest) for manifest in manifests)


def dump(manifest: Mapping[str, Any]) -> str:
    """One manifest as text."""
    lines: list[str] = []
    _table(lines, manifest, "")
    return "\n".join(lines) + "\n"


def _table(lines: list[str], table: Mapping[str, Any], indent: str) -> None:
    for key, value in table.items():
        _entry(lines, f"{indent}{_key(key)}:", value, indent)


def _entry(lines: list[str], head: str, value: Any, indent: str) -> None:
    if isinstance(value, str):
        if "\n" in value and _BLOCK.fullmatch(value):
            lines.append(f"{head} |{'' if value.endswith(chr(10)) else '-'}")
            lines += [f"{indent}  {line}" if line else "" for line in value.removesuffix("\n").split("\n")]
        else:
            lines.append(f"{head} {_quoted(value)}")
    elif isinstance(value, dict) and value:
        lines.append(head)
        _table(lines, cast("dict[str, Any]", value), indent + "  ")
    elif isinstance(value, (list, tuple)) and value:
        lines.append(head)
        for element in cast("list[Any]", value):
            _element(lines, element, indent)
    else:
        lines.append(f"{head} {_scalar(value)}")


def _element(lines: list[str], element: Any, indent: str) -> None:
    """A list's element: its first line after the dash, the rest as deep as that."""
    deeper = indent + "  "
    if isinstance(element, dict) and element:
        first = len(lines)
        _table(lines, cast("dict[str, Any]", element), deeper)
        lines[first] = f"{indent}- {lines[first][len(deeper) :]}"
    elif isinstance(element, (list, tuple)) and element:
        lines.append(f"{indent}-")
        for inner in cast("list[Any]", element):
            _element(lines, inner, deeper)
    else:
        _entry(lines, f"{indent}-", element, indent)


@functools.lru_cache(maxsize=512)
def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _RESERVED else _quoted(key)


def _scalar(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, dict):
        return "{}"
    return "[]" if isinstance(value, (list, tuple)) else repr(value)


def _quoted(text: str) -> str:
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    known = _ESCAPES.get(char)
    if known is not None:
        return known
    code = ord(char)
    return f"\\x{code:02x}" if code < _BYTE else f"\\u{code:04x}" if code < _SHORT else f"\\U{code:08x}"
