"""What a bootstrap made or changed on a machine, kept on that machine."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpujobs.bootstrap import files
from gpujobs.bootstrap.errors import BootstrapError
from gpujobs.bootstrap.shell import checked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.step import Data

STATE_DIRECTORY = "/var/lib/gpujobs/bootstrap"
BACKUP_DIRECTORY = "/var/backups/gpujobs"
_VERSION = 1

# $1 = directory. Everything a bootstrap keeps may hold earlier file contents, keys among them: root only.
_MAKE = 'umask 077; mkdir -p -- "$1"'
# $1 = directory, $2 = its parent's parent. Only what is empty goes.
_REMOVE = 'rm -f -- "$1/journal.json"; rmdir -- "$1" "${1%/*}" "$2" 2>/dev/null || true'


@dataclass
class Entry:
    """One thing that was made or changed."""

    key: str
    kind: str
    title: str
    data: Data = field(default_factory=dict[str, Any])


class Journal:
    """The entries of one kind of bootstrap on one machine, in the order they were begun.

    Args:
        shell: The machine.
        what: The kind of bootstrap: ``slurm``, ``microk8s``.
        directory: Where journals are kept on the machine.
        backups: Where an undo puts files that somebody else has edited.
        user: Who owns the file.
    """

    def __init__(
        self,
        shell: Shell,
        what: str,
        *,
        directory: str = STATE_DIRECTORY,
        backups: str = BACKUP_DIRECTORY,
        user: str = "root:root",
    ) -> None:
        self._shell = shell
        self._parent = directory
        self._user = user
        self.backups = backups
        self.directory = f"{directory}/{what}"
        self.path = f"{self.directory}/journal.json"
        self._entries: dict[str, Entry] | None = None
        self._wish: Any = None
        self._made = False

    def begin(self, key: str, kind: str, title: str, data: Data) -> Entry:
        """Note a change before it is made; of a key noted before, the first note stays.

        The first note holds how things were before gpujobs, and a later run must not forget that.
        """
        known = self._loaded().get(key)
        if known is not None:
            return known
        entry = Entry(key, kind, title, data)
        self._loaded()[key] = entry
        self._save()
        return entry

    def update(self, key: str, **data: Any) -> None:
        """Add to a note what is known only after the change."""
        entry = self._loaded()[key]
        if any(entry.data.get(name) != value for name, value in data.items()):
            entry.data.update(data)
            self._save()

    def find(self, key: str) -> Entry | None:
        """The note under this key."""
        return self._loaded().get(key)

    def forget(self, key: str) -> None:
        """Strike out a note that was undone."""
        if self._loaded().pop(key, None) is not None:
            self._save()

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._loaded().values()))

    def __len__(self) -> int:
        return len(self._loaded())

    @property
    def wish(self) -> Any:
        """What the user last asked for, as JSON, or None."""
        self._loaded()
        return self._wish

    def remember(self, wish: Any) -> None:
        """Keep what the user asked for, so that verify, undo and a change need not be told again."""
        self._loaded()
        if wish != self._wish:
            self._wish = wish
            self._save()

    def remove(self) -> None:
        """Take the journal itself away, and the directories that hold nothing else."""
        self._shell.run(("sh", "-c", _REMOVE, "remove", self.directory, self._parent.rsplit("/", 1)[0]))
        self._entries, self._wish, self._made = {}, None, False

    def reload(self) -> None:
        """Read the disk again at the next use: another run may have been at work."""
        self._entries = None

    def _loaded(self) -> dict[str, Entry]:
        if self._entries is None:
            self._entries, self._wish = {}, None
            state = files.read(self._shell, self.path)
            if state is not None:
                self._parse(state.content)
        return self._entries

    def _parse(self, content: bytes) -> None:
        try:
            document = json.loads(content)
            if document["version"] != _VERSION:
                raise BootstrapError(
                    f"{self.path} on {self._shell.name} was written by another version of gpujobs.",
                    next_step="Use that version to undo, or a newer gpujobs.",
                )
            self._wish = document["wish"]
            self._entries = {entry["key"]: Entry(**entry) for entry in document["entries"]}
        except (ValueError, KeyError, TypeError) as e:
            raise BootstrapError(
                f"{self.path} on {self._shell.name} is not a journal of gpujobs: {e}",
                next_step="Restore it from a backup; without it nothing can be undone.",
            ) from e

    def _save(self) -> None:
        document = {
            "version": _VERSION,
            "wish": self._wish,
            "entries": [vars(entry) for entry in self._loaded().values()],
        }
        if not self._made:
            checked(self._shell, ("sh", "-c", _MAKE, "make", self.directory))
            self._made = True
        files.write(
            self._shell, self.path, json.dumps(document, indent=1).encode() + b"\n", mode=0o600, owner=self._user
        )
