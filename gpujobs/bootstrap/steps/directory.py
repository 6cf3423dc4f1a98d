"""Directories with a mode and an owner."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap import files
from gpujobs.bootstrap.errors import BootstrapError
from gpujobs.bootstrap.shell import checked
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.step import Machine

# $1 = path. Prints every part of it that is not there, the outermost first.
_MISSING = 'p=$1; while [ ! -e "$p" ]; do echo "$p"; p=$(dirname -- "$p"); done'


@dataclass(frozen=True)
class Directory:
    """A directory with exactly this mode and owner.

    Attributes:
        contents: What an undo does with what is in it by then, if we made it: ``remove`` it,
            or ``keep`` it and say why, in ``keep_why``.
    """

    kind: ClassVar[str] = "directory"
    host: str
    title: str
    path: str
    mode: int = 0o755
    owner: str = "root:root"
    contents: str = "remove"
    keep_why: str = ""

    @property
    def key(self) -> str:
        """The path makes it one of a kind."""
        return f"directory:{self.path}"

    def commands(self) -> tuple[str, ...]:
        """One install command."""
        user, _, group = self.owner.partition(":")
        return (shlex.join(("install", "-d", "-m", f"{self.mode:o}", "-o", user, "-g", group, self.path)),)

    def check(self, machine: Machine) -> Finding:
        """Look for it, its mode and its owner."""
        state = files.read(machine.shell, self.path)
        if state is None:
            return Finding(done=False, why=f"{self.path} is not there")
        if not state.directory:
            raise BootstrapError(
                f"{self.path} on {self.host} is no directory.", next_step="Move it away, and run this again."
            )
        if (state.mode, state.owner) != (self.mode, self.owner):
            return Finding(
                done=False, why=f"{self.path} is {state.mode:o} {state.owner} instead of {self.mode:o} {self.owner}"
            )
        return Finding(done=True, why=f"{self.path} is as wanted")

    def apply(self, machine: Machine) -> None:
        """Make it and what is missing above it."""
        state = files.read(machine.shell, self.path)
        missing = checked(machine.shell, ("sh", "-c", _MISSING, "missing", self.path)).text.splitlines()
        before = None if state is None else {"mode": state.mode, "owner": state.owner}
        data = {"path": self.path, "before": before, "made": missing}
        data |= {"contents": self.contents, "keep_why": self.keep_why}
        machine.journal.begin(self.key, self.kind, self.title, data)
        checked(machine.shell, ("mkdir", "-p", "--", self.path))
        checked(machine.shell, ("chown", "--", self.owner, self.path))
        checked(machine.shell, ("chmod", "--", f"{self.mode:o}", self.path))

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Take away what was made, or give back mode and owner."""
        shell, path, before = machine.shell, data["path"], data["before"]
        if files.read(shell, path) is None:
            return _remove_empty(machine, data["made"])
        if before is not None:
            checked(shell, ("chown", "--", before["owner"], path))
            checked(shell, ("chmod", "--", f"{before['mode']:o}", path))
            return Undone()
        if data["contents"] == "remove":
            checked(shell, ("rm", "-rf", "--one-file-system", "--", path))
        elif not shell.run(("rmdir", "--", path)).ok:
            return Undone(f"{path} stays: {data['keep_why']}")
        return _remove_empty(machine, data["made"])


def _remove_empty(machine: Machine, made: list[str]) -> Undone:
    for path in made:
        machine.shell.run(("rmdir", "--", path))  # not empty: somebody else has put something there
    return Undone()
