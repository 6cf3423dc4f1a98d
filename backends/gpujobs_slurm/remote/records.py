"""Job directories: the claim of a key, what the job left, and its end.

A record is a directory ``ROOT/NAME``; ``ROOT/ids/JOBID`` points to it. It is put in place whole, by one rename, and
that rename is the claim of its key: the second one fails. ``NAME`` may also be a dangling link ``GROUP/INDEX``: the key
is then element INDEX of a record that many keys share (``bulks``).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from typing import Any

TWINS = "twins"


def claim(root: str, name: str, files: dict[str, bytes], nonce: str) -> bool:
    """Put a record in place whole; False when there is one of that name already."""
    path = os.path.join(root, name)
    if os.path.lexists(path):
        return False
    if not os.path.isdir(os.path.join(root, TWINS)):
        for sub in ("", "ids", TWINS):
            os.makedirs(os.path.join(root, sub), mode=0o700, exist_ok=True)
    new = os.path.join(root, ".new-" + nonce)
    os.mkdir(new, 0o700)
    try:
        for file, content in files.items():
            write_private(os.path.join(new, file), content)
        # A second name of a file costs less than a second file.
        os.link(os.path.join(new, "claim.json"), os.path.join(new, "sending." + nonce))
        os.rename(new, path)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        # A rename that NFS sent twice reports a failure although it was done: the nonce tells.
        if os.path.lexists(os.path.join(path, "sending." + nonce)):
            return True
        if os.path.lexists(path):
            return False
        raise
    return True


def write_private(path: str, content: bytes) -> None:
    """Write a new file that only its owner may read; directories are made."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        fd = os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(path, flags, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)


def note_id(root: str, name: str, nonce: str, job_id: str, indices: list[int] | None = None) -> bool:
    """A send (of all, or of these elements) was answered with this id; whether any of it was sent before."""
    path = os.path.join(root, name)
    marks = ["sent." + job_id] if indices is None else [f"sent.{job_id}.{index}" for index in indices]
    for mark in marks[1:]:
        os.link(os.path.join(path, "sending." + nonce), os.path.join(path, mark))
    os.replace(os.path.join(path, "sending." + nonce), os.path.join(path, marks[0]))
    point(root, name, job_id)
    others = [n for n in os.listdir(path) if n.startswith("sent.") and n not in marks and _meets(n, indices)]
    for twin in [marks[0], *others] if others else []:
        open(os.path.join(root, TWINS, twin.split(".")[1]), "wb").close()
    return bool(others)


def _meets(mark: str, indices: list[int] | None) -> bool:
    """Whether a former send (``sent.JOB`` of all, ``sent.JOB.INDEX`` of one element) was for the same as this one."""
    only = mark.split(".")[2:]
    return not only or indices is None or int(only[0]) in indices


def point(root: str, name: str, job_id: str) -> None:
    """Let ``ids/JOBID`` lead to the record, also where a former cluster's job had that id."""
    link = os.path.join(root, "ids", job_id)
    try:
        os.symlink("../" + name, link)
    except FileExistsError:
        if os.readlink(link) != "../" + name:
            new = f"{link}.{os.getpid()}"
            os.symlink("../" + name, new)
            os.replace(new, link)


def doubt(root: str, name: str, nonce: str) -> None:
    """A send was not answered: it may or may not have been taken."""
    path = os.path.join(root, name)
    os.replace(os.path.join(path, "sending." + nonce), os.path.join(path, "unsure." + nonce))


def begin_again(root: str, name: str, nonce: str) -> None:
    """Another send for a claim that has no id."""
    write_private(os.path.join(root, name, "sending." + nonce), b"")


def nothing_else(root: str, name: str, nonce: str) -> bool:
    """A send was refused; whether no other one is open or was answered."""
    path = os.path.join(root, name)
    os.unlink(os.path.join(path, "sending." + nonce))
    return not any(n.startswith(("sent.", "unsure.", "sending.", "owner")) for n in os.listdir(path))


def resolve(root: str, name: str) -> list[Any] | None:
    """``[record, index or None]`` of a key's name, None when nobody claimed it."""
    try:
        group, _, index = os.readlink(os.path.join(root, name)).partition("/")
    except FileNotFoundError:
        return None
    except OSError:
        return [name, None]
    return [group, int(index)]


def record_of(root: str, job_id: str) -> str | None:
    """The name of the record of a job id."""
    try:
        return os.path.basename(os.readlink(os.path.join(root, "ids", job_id)))
    except OSError:
        return None


def read(root: str, name: str) -> dict[str, Any] | None:
    """All that a record says: claim, ids, and by file name what the job and its watchers left."""
    path = os.path.join(root, name)
    try:
        names = os.listdir(path)
        with open(os.path.join(path, "claim.json"), "rb") as file:
            claim = json.loads(file.read().decode())
    except (OSError, ValueError):
        return None
    found: dict[str, Any] = {"name": name, "claim": claim, "owners": {}, "notes": {}, "marks": [], "finals": {}}
    now = time.time()
    for entry in sorted(names):
        stem = entry.split(".", 1)[0]
        if stem == "owner":
            found["owners"][entry[6:]] = os.readlink(os.path.join(path, entry))
        elif stem in {"outcome", "started"}:
            found["notes"][entry] = _json(os.path.join(path, entry))
        elif stem == "final":
            ends: dict[str, Any] = _json(os.path.join(path, entry)) or {}
            for index, end in ends.items():
                found["finals"].setdefault(index, end)
        elif stem == "sending":
            found["marks"].append(f"{entry} {now - os.lstat(os.path.join(path, entry)).st_mtime:.1f}")
        elif stem in {"sent", "unsure", "cancelled", "deleted", "retry"}:
            found["marks"].append(entry)
    return found


def _json(path: str) -> Any:
    try:
        with open(path, "rb") as file:
            return json.loads(file.read().decode("utf-8", "replace"))
    except (OSError, ValueError):
        return None


def read_ids(root: str, ids: list[str]) -> dict[str, Any]:
    """``{"of": {id: record name}, "records": {name: record}}`` for job ids (without their array index)."""
    of = {i: name for i, name in ((i, record_of(root, i)) for i in ids) if name}
    records = {name: read(root, name) for name in set(of.values())}
    return {"of": of, "records": {n: r for n, r in records.items() if r}}


def twins(root: str) -> list[str]:
    """The ids of records that were sent more than once: each answers for the owner."""
    try:
        return os.listdir(os.path.join(root, TWINS))
    except OSError:
        return []


def put(root: str, name: str, file: str, content: bytes) -> None:
    """Write a file of a record atomically; a record that is gone is left alone."""
    path = os.path.join(root, name)
    try:
        fd, new = tempfile.mkstemp(prefix=".put-", dir=path)
    except OSError:
        return
    with os.fdopen(fd, "wb") as out:
        out.write(content)
    os.replace(new, os.path.join(path, file))


def put_many(root: str, files: list[list[Any]]) -> None:
    """Write ``[[record, file, content], ...]``."""
    for name, file, content in files:
        put(root, name, file, content)


def forget(root: str, name: str) -> None:
    """Remove a record and its ids: first what leads to it, then itself."""
    found = read(root, name)
    path = os.path.join(root, name)
    doomed = os.path.join(root, f".gone-{name}-{os.getpid()}")
    if found:
        for mark in found["marks"] + ["sent." + o.split("_")[0] for o in found["owners"].values()]:
            if mark.startswith("sent."):
                unlink_if(os.path.join(root, "ids", mark.split(".")[1]), "../" + name)
                _unlink(os.path.join(root, TWINS, mark.split(".")[1]))
    try:
        os.rename(path, doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed, ignore_errors=True)


def unlink_if(path: str, target: str) -> None:
    """Remove a link, if it leads there."""
    try:
        if os.readlink(path) == target:
            os.unlink(path)
    except OSError:
        pass


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def listing(root: str) -> list[dict[str, Any]]:
    """Every record there is."""
    try:
        names = os.listdir(root)
    except OSError:
        return []
    found = (read(root, n) for n in names if not n.startswith(".") and n not in {"ids", TWINS})
    return [record for record in found if record]
