"""The keys of jobs that were sent together.

A key leads to its element by a dangling link ``GROUP/INDEX`` of its own name. Keys that gpujobs made for one call share
a stem (``STEM.NUMBER``), and one link of the stem's name, ``GROUP,GROUP,``, claims them all: a thousand keys cost
one file. Whoever comes later with such a key looks there first, and where there is nothing puts ``apart`` there, so
that the stem can never be claimed as a whole after one of its keys was.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any

from gpujobs_slurm.remote import records

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEM = re.compile(r"([0-9a-f]{20})\.[0-9]+")
_APART = "apart"
_HASH = 32
_LONGEST = 4000
"""A link holds no more than 4095 bytes."""


def name_of(key: str) -> str:
    """The job directory of a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:_HASH]


def stem_of(key: str) -> str | None:
    """The name of the link of a key's stem; None for a key that has none."""
    match = _STEM.fullmatch(key)
    return "keys-" + name_of(match.group(1))[:28] if match else None


def ranges(indices: Sequence[int]) -> str:
    """``0-3,5`` of 0, 1, 2, 3, 5."""
    parts: list[list[int]] = []
    for index in indices:
        if parts and index == parts[-1][1] + 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ",".join(f"{a}-{b}" if b > a else f"{a}" for a, b in parts)


def claim_stem(root: str, keys: list[str], groups: list[str]) -> bool:
    """Claim all keys of one stem for these records, which are in place already; False where that cannot be."""
    stem, target = stem_of(keys[0]), _leading_to(groups)
    head = keys[0].partition(".")[0] + "."
    if stem is None or len(target) > _LONGEST or not all(k.startswith(head) and _STEM.fullmatch(k) for k in keys):
        return False
    return _link(target, os.path.join(root, stem))


def claim_keys(root: str, group: str, keys: list[str]) -> list[int]:
    """Claim keys one by one for the elements of a record; the indices that were free."""
    for key in {stem_of(key): key for key in keys}.values():
        stand_apart(root, key)
    elsewhere: dict[str | None, dict[str, list[Any]]] = {}
    free: list[int] = []
    for index, key in enumerate(keys):
        stem = stem_of(key)
        if stem not in elsewhere:
            elsewhere[stem] = _members(root, stem)
        if key not in elsewhere[stem] and _link(f"{group}/{index}", os.path.join(root, name_of(key))):
            free.append(index)
    return free


def stand_apart(root: str, key: str) -> None:
    """See to it that the stem of a key is not claimed as a whole from now on."""
    stem = stem_of(key)
    if stem is not None:
        _link(_APART, os.path.join(root, stem))


def member(root: str, key: str) -> list[Any] | None:
    """``[record, index]`` of a key that was claimed by its stem."""
    return _members(root, stem_of(key)).get(key)


def resolve(root: str, key: str) -> list[Any] | None:
    """``[record, index or None]`` of a key, None when nobody claimed it."""
    return member(root, key) or records.resolve(root, name_of(key))


def _members(root: str, stem: str | None) -> dict[str, list[Any]]:
    """What a stem's link leads to, by key."""
    found: dict[str, list[Any]] = {}
    for group in _groups(root, stem):
        record = records.read(root, group) or {"claim": {}, "marks": []}
        gone = {mark for mark in record["marks"] if mark.startswith("deleted.")}
        for index, key in enumerate(record["claim"].get("keys", [])):
            if f"deleted.{index}" not in gone:
                found[key] = [group, index]
    return found


def _link(target: str, path: str) -> bool:
    """Make a link, or find that it is there: NFS may send the making twice, and reports a failure then."""
    try:
        os.symlink(target, path)
    except FileExistsError:
        return target != _APART and os.path.islink(path) and os.readlink(path) == target
    return True


def forget(root: str, name: str) -> None:
    """Remove a record, its ids and its keys: first what leads to it, then itself."""
    found = records.read(root, name)
    keys: list[str] = found["claim"].get("keys", []) if found else []
    stem = stem_of(keys[0]) if keys else None
    groups = _groups(root, stem)
    if name not in groups:
        for index, key in enumerate(keys):
            records.unlink_if(os.path.join(root, name_of(key)), f"{name}/{index}")
    elif stem and not any(os.path.lexists(os.path.join(root, group)) for group in groups if group != name):
        records.unlink_if(os.path.join(root, stem), _leading_to(groups))
    records.forget(root, name)


def _leading_to(groups: list[str]) -> str:
    # A comma behind each, so that there never is such a file: the link must not be taken for the record.
    return "".join(group + "," for group in groups)


def _groups(root: str, stem: str | None) -> list[str]:
    try:
        return os.readlink(os.path.join(root, stem)).split(",")[:-1] if stem else []
    except OSError:
        return []


def forget_elements(root: str, elements: list[list[str]]) -> None:
    """Free the keys of single elements, ``[record, index]``; a record with none left goes as a whole."""
    for name in {name for name, _ in elements}:
        found = records.read(root, name)
        if found is None:
            continue
        keys: list[str] = found["claim"].get("keys", [])
        for at, index in elements:
            if at == name and int(index) < len(keys):
                records.unlink_if(os.path.join(root, name_of(keys[int(index)])), f"{name}/{index}")
        if sum(mark.startswith("deleted.") for mark in found["marks"]) >= len(keys):
            forget(root, name)


def refused(root: str, name: str, nonce: str) -> bool:
    """A send was refused; True when nothing else is open, so that the record is gone and its keys are free again."""
    if not records.nothing_else(root, name, nonce):
        return False
    forget(root, name)
    return True
