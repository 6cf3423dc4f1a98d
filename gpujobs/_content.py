"""The content of a file that goes with a workload: text, or bytes as base64 where JSON has to hold them."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema


def _content(value: Any) -> Any:
    """The content of a file: text, bytes, a Path that is read now, or ``{"base64": "..."}``."""
    if isinstance(value, Path):
        return value.expanduser().read_bytes()
    if isinstance(value, str):
        return value.encode()
    if value.__class__ is dict and set(value) == {"base64"}:
        try:
            return base64.b64decode(str(value["base64"]), validate=True)
        except binascii.Error as e:
            raise ValueError(f"not base64: {e}") from e
    return value


def _dump_content(value: bytes) -> str | dict[str, str]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
    return {"base64": base64.b64encode(value).decode()} if "\0" in text or "\r" in text else text


_BASE64 = {
    "type": "object",
    "properties": {"base64": {"type": "string"}},
    "required": ["base64"],
    "additionalProperties": False,
}
FileContent = Annotated[
    bytes,
    BeforeValidator(_content),
    PlainSerializer(_dump_content, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "string"}, _BASE64]}),
]
