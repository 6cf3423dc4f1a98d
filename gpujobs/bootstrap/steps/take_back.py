"""What an earlier apply made and the wish no longer has."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap.step import Finding, Undone
from gpujobs.bootstrap.steps.command import as_shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.engine import Undoer
    from gpujobs.bootstrap.journal import Entry
    from gpujobs.bootstrap.step import Machine


@dataclass(frozen=True)
class TakeBack:
    """One note of the journal that is undone while the rest stays.

    Attributes:
        entry: The note, as the journal has it.
        undoer: The undo of its kind.
    """

    kind: ClassVar[str] = "take-back"
    host: str
    entry: Entry
    undoer: Undoer

    @property
    def title(self) -> str:
        """What is taken back."""
        return f"Take back, since it is no longer wished: {self.entry.title}"

    @property
    def key(self) -> str:
        """The note makes it one of a kind."""
        return f"take-back:{self.entry.key}"

    @property
    def keeps(self) -> str:
        """What stays all the same, and why; "" where nothing does."""
        data = self.entry.data
        stays = [
            str(data.get("keeps") or ""),
            *(f"{path} stays: it holds your data" for path in data.get("leaves", ())),
        ]
        return "; ".join(words for words in stays if words)

    def commands(self) -> tuple[str, ...]:
        """What undoes it."""
        return _commands(self.entry.kind, self.entry.data)

    def check(self, machine: Machine) -> Finding:
        """Whether the note has been struck out."""
        there = machine.journal.find(self.entry.key) is not None
        return Finding(done=not there, why="an earlier apply made it" if there else "")

    def apply(self, machine: Machine) -> None:
        """Undo it, and strike out the note."""
        self.undoer(machine, self.entry.data)
        machine.journal.forget(self.entry.key)

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Nothing is noted, so there is nothing to undo."""
        del machine, data
        return Undone()


def _commands(kind: str, data: Mapping[str, Any]) -> tuple[str, ...]:
    """The undo of a note in the words of a shell."""
    if kind == "service":
        name = data["name"]
        stop = (f"systemctl stop {name}", f"systemctl disable {name}")
        return stop if data["systemd"] else (f"kill $(cat {shlex.quote(data['pid_file'])})",)
    if kind == "packages":
        return (shlex.join(("apt-get", "purge" if data["purge"] else "remove", *data["names"])),)
    if kind == "command":
        return tuple(as_shown(tuple(argv)) for argv in data["undo"])
    if kind == "kubeconfig-context":
        return (f": take the context {data['context']} out of {shlex.quote(data['path'])}",)
    if kind in {"file", "secret-file", "copied-file", "directory"}:
        path = shlex.quote(data["path"])
        return (f"rm -r {path}" if not data["before"] else f": give {path} back as it was",)
    return ()
