"""Reading JSON objects whose parts may be absent or null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

Table = dict[str, Any]


def inside(item: Mapping[str, Any], *keys: str) -> Table:
    """The table under these keys, one inside the other; empty where there is none."""
    found: Any = item
    for key in keys:
        found = cast("Mapping[str, Any]", found).get(key) if isinstance(found, Mapping) else None
    return cast("Table", found) if isinstance(found, dict) else {}


def rows(item: Mapping[str, Any], key: str) -> list[Table]:
    """The list of tables under a key; empty where there is none."""
    return cast("list[Table]", item.get(key) or [])


def annotations_of(item: Mapping[str, Any]) -> dict[str, str]:
    """The annotations of an object."""
    return inside(item, "metadata", "annotations")


def labels_of(item: Mapping[str, Any]) -> dict[str, str]:
    """The labels of an object."""
    return inside(item, "metadata", "labels")
