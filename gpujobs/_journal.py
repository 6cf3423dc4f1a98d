"""The submissions whose outcome is not known yet: one file per call, made before anything is sent.

A file holds one line of JSON per submission, so a thousand that are sent together cost one file. It is renamed into
place whole, so a crash leaves no half of one; that holds on NFS. What is settled leaves it, and the last one takes the
file along: what is there after a crash is what ``--resume`` settles.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gpujobs.errors import GpuJobsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gpujobs._identity import Prepared

_log = logging.getLogger(__name__)
_NEW = ".new-"


@dataclass(frozen=True, slots=True)
class OpenSubmission:
    """A submission that was begun and not settled."""

    key: str
    target: str
    spec_hash: str
    began_at: float
    spec: dict[str, Any]
    """The workload as JSON, secrets by name only."""


class Unreadable(NamedTuple):
    """Lines of a journal file that say nothing."""

    path: Path
    why: str

    def error(self) -> GpuJobsError:
        """What to tell the user."""
        return GpuJobsError(
            f"The journal entry {self.path} cannot be read: {self.why}.",
            next_step=f"Look at it; if its submission no longer matters: gpujobs submit --abandon {self.path}",
        )


class Call(NamedTuple):
    """The entries that one call made, and which of its keys were open before it."""

    path: str
    target: str
    lines: dict[str, str]
    earlier: frozenset[str]


class Journal:
    """The open submissions of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._dir = state_dir / "open"
        self._at = str(self._dir)

    def begin(self, items: Sequence[Prepared], *, target: str, now: float) -> Call:
        """Write down what is about to be sent, all of it or nothing.

        Raises:
            GpuJobsError: The state directory cannot be written; nothing was sent.
        """
        lines = _lines(items, target, now)
        given = [item.key for item in items if not item.made]
        call = Call(
            f"{self._at}/{now:017.6f}-{secrets.token_hex(6)}.json",
            target,
            lines,
            frozenset(self._keys_in_others(given, target)) if given else frozenset(),
        )
        try:
            self._write(call.path, "".join(lines.values()))
        except OSError as e:
            raise GpuJobsError(
                f"The state directory {self._dir} cannot be written: {e.strerror}. Nothing was submitted.",
                next_step="Make room or name another directory with GPUJOBS_STATE_DIR, then submit again.",
            ) from e
        return call

    def settle(self, call: Call, unknown: Collection[str]) -> None:
        """The outcome of all keys but these is known: forget them, also where an earlier call left one open.

        What cannot be removed stays open; resuming it finds the same job.
        """
        left = {key: line for key, line in call.lines.items() if key in unknown and key not in call.earlier}
        if len(left) < len(call.lines):
            self._leave(call.path, left)
        if known := call.earlier.difference(unknown):
            for path, lines in self._others(call.target):
                if not known.isdisjoint(lines):
                    self._leave(path, {key: line for key, line in lines.items() if key not in known})

    def open(self) -> tuple[list[OpenSubmission], list[Unreadable]]:
        """What was begun and not settled, each key once, oldest first; and the files in which something is no entry."""
        found: dict[tuple[str, str], OpenSubmission] = {}
        broken: list[Unreadable] = []
        for path in sorted(self._files()):
            try:
                lines = Path(path).read_text(encoding="utf-8").splitlines() or [""]
            except FileNotFoundError:  # settled by another client just now
                continue
            except (OSError, ValueError) as e:
                broken.append(Unreadable(Path(path), str(e)))
                continue
            entries = [entry for line in lines if (entry := _entry(line)) is not None]
            if len(entries) < len(lines):
                broken.append(Unreadable(Path(path), f"{len(lines) - len(entries)} of {len(lines)} lines are no entry"))
            for entry in entries:
                found.setdefault((entry.target, entry.key), entry)
        return sorted(found.values(), key=lambda entry: entry.began_at), broken

    def abandon(self, what: str) -> int:
        """Forget an open key, or all that is unreadable in a file of the journal; how many entries went."""
        gone = 0
        for path in list(self._files()):
            lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines() or [""]
            entries = [(line, _entry(line)) for line in lines]
            if Path(path) == Path(what):
                kept = [line for line, entry in entries if entry is not None]
            else:
                kept = [line for line, entry in entries if entry is None or entry.key != what]
            if len(kept) < len(lines):
                self._leave(path, dict(enumerate(line + "\n" for line in kept)))
                gone += len(lines) - len(kept)
        return gone

    def _files(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError), os.scandir(self._at) as entries:
            yield from [e.path for e in entries if e.name.endswith(".json") and not e.name.startswith(_NEW)]

    def _others(self, target: str) -> Iterator[tuple[str, dict[str | int, str]]]:
        """The lines of each file: by key those of a target's entries, all others by their number."""
        for path in list(self._files()):
            try:
                lines = Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
            except (OSError, ValueError):
                continue
            found: dict[str | int, str] = {}
            for number, line in enumerate(lines):
                entry = _entry(line)
                found[entry.key if entry and entry.target == target else number] = line
            yield path, found

    def _keys_in_others(self, keys: Collection[str], target: str) -> set[str]:
        others = [lines for _, lines in self._others(target)]
        return {key for key in keys if any(key in lines for lines in others)}

    def _leave(self, path: str, lines: Mapping[Any, str]) -> None:
        """Let these lines, and no others, stay in a file."""
        try:
            if lines:
                self._write(path, "".join(lines.values()))
            else:
                Path(path).unlink(missing_ok=True)
        except OSError as e:
            _log.warning("What %s holds is settled, but it cannot be removed: %s.", path, e.strerror)

    def _write(self, path: str, text: str) -> None:
        """Put a file in place whole."""
        new = f"{self._at}/{_NEW}{secrets.token_hex(6)}"
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileNotFoundError:
            self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
            Path(new).rename(path)
        except OSError:
            Path(new).unlink()
            raise


def _lines(items: Sequence[Prepared], target: str, now: float) -> dict[str, str]:
    middle = f',"target":{json.dumps(target)},"spec_hash":"'
    after = f'","began_at":{now!r},"spec":'
    return {item.key: f'{{"key":{_quoted(item)}{middle}{item.spec_hash}{after}{item.text}}}\n' for item in items}


def _quoted(item: Prepared) -> str:
    return f'"{item.key}"' if item.made else json.dumps(item.key)  # a key that was made holds nothing to escape


def _entry(line: str) -> OpenSubmission | None:
    """What a line says; None for what is no entry."""
    try:
        return OpenSubmission(**json.loads(line))
    except (ValueError, TypeError):
        return None
