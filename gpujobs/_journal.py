"""The submissions whose outcome is not known yet: one file per key, made before anything is sent.

A file is linked into place whole, so that two clients cannot both make it and a crash leaves no half of one; both hold
on NFS. It goes once the outcome is known, so what is left after a crash is what ``--resume`` settles.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpujobs.errors import GpuJobsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.backend import Submission

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenSubmission:
    """A submission that was begun and not settled."""

    key: str
    target: str
    spec_hash: str
    began_at: float
    spec: dict[str, Any]
    """The workload as JSON, secrets by name only."""


class Journal:
    """The open submissions of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._dir = state_dir / "open"

    def begin(self, item: Submission, *, target: str, now: float) -> bool:
        """Write down what is about to be sent; whether that was new. A key that is open already stays as it is.

        Raises:
            GpuJobsError: The state directory cannot be written; nothing was sent.
        """
        entry = {
            "key": item.key,
            "target": target,
            "spec_hash": item.spec_hash,
            "began_at": now,
            "spec": item.spec.model_dump(mode="json", exclude_defaults=True) | {"kind": item.spec.kind},
        }
        try:
            self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd, name = tempfile.mkstemp(dir=self._dir, prefix=".new-")
            try:
                with os.fdopen(fd, "w", encoding="utf-8") as file:
                    json.dump(entry, file)
                os.link(name, self._path(item.key, target))
            except FileExistsError:
                return False
            finally:
                Path(name).unlink()
        except OSError as e:
            raise GpuJobsError(
                f"The state directory {self._dir} cannot be written: {e.strerror}. Nothing was submitted.",
                next_step="Make room or name another directory with GPUJOBS_STATE_DIR, then submit again.",
            ) from e
        return True

    def settle(self, key: str, *, target: str) -> None:
        """The outcome is known: forget the key. What cannot be removed stays open; resuming it finds the same job."""
        try:
            self._path(key, target).unlink(missing_ok=True)
        except OSError as e:
            _log.warning("The key %s is settled, but its journal entry cannot be removed: %s.", key, e.strerror)

    def open(self) -> Iterator[OpenSubmission]:
        """What was begun and not settled, oldest first."""
        found: list[OpenSubmission] = []
        for path in self._dir.glob("*.json") if self._dir.is_dir() else ():
            try:
                found.append(OpenSubmission(**json.loads(path.read_text(encoding="utf-8"))))
            except FileNotFoundError:  # settled by another client just now
                continue
            except (OSError, ValueError, TypeError) as e:
                raise GpuJobsError(
                    f"The journal entry {path} cannot be read: {e}.",
                    next_step="Look at it; remove it if its submission no longer matters.",
                ) from e
        yield from sorted(found, key=lambda entry: entry.began_at)

    def _path(self, key: str, target: str) -> Path:
        return self._dir / (hashlib.sha256(f"{target}\0{key}".encode()).hexdigest()[:40] + ".json")
