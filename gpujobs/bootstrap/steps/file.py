"""Files with a given, a random or a copied content."""

from __future__ import annotations

import base64
import secrets
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap import files
from gpujobs.bootstrap.errors import BootstrapError
from gpujobs.bootstrap.shell import checked
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.step import Data, Machine


@dataclass(frozen=True)
class _AtPath:
    """A file, whatever is to be in it."""

    host: str
    title: str
    path: str

    @property
    def key(self) -> str:
        """The path makes it one of a kind."""
        return f"file:{self.path}"

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Put back what was there before, or nothing."""
        return _restore(machine, data)


@dataclass(frozen=True)
class File(_AtPath):
    """A file with exactly this content, mode and owner."""

    kind: ClassVar[str] = "file"
    content: str
    mode: int = 0o644
    owner: str = "root:root"
    secret: bool = False

    def commands(self) -> tuple[str, ...]:
        """The command with the whole content, or without it where it is a secret."""
        body = "<secret>\n" if self.secret else self.content
        return (f"{_install(self)} <<'EOF'\n{body}EOF",)

    def check(self, machine: Machine) -> Finding:
        """Compare content, mode and owner."""
        state = files.read(machine.shell, self.path)
        if state is not None and not state.directory and state.content != self.content.encode():
            return Finding(done=False, why=f"{self.path} has another content")
        return _compare(state, self)

    def apply(self, machine: Machine) -> None:
        """Write it, with the earlier content in the journal."""
        _put(machine, self, self.content.encode())


@dataclass(frozen=True)
class SecretFile(_AtPath):
    """A key of random bytes, made where it is used and shown nowhere; one that is there already stays."""

    kind: ClassVar[str] = "secret-file"
    size: int
    mode: int
    owner: str

    def commands(self) -> tuple[str, ...]:
        """The command, with the source of the bytes and not the bytes."""
        return (f"head -c {self.size} /dev/random | {_install(self)}",)

    def check(self, machine: Machine) -> Finding:
        """Look for a key of at least the size, the mode and the owner."""
        state = files.read(machine.shell, self.path)
        if state is not None and len(state.content) < self.size:
            return Finding(done=False, why=f"{self.path} is too short for a key")
        return _compare(state, self)

    def apply(self, machine: Machine) -> None:
        """Make the key, or give the one that is there its mode and owner."""
        state = files.read(machine.shell, self.path)
        usable = state is not None and len(state.content) >= self.size
        _put(machine, self, state.content if state is not None and usable else secrets.token_bytes(self.size))


@dataclass(frozen=True)
class CopiedFile(_AtPath):
    """A key that has to be the same on two machines, carried between them and shown nowhere."""

    kind: ClassVar[str] = "copied-file"
    source: Shell
    mode: int
    owner: str

    def commands(self) -> tuple[str, ...]:
        """The command, with the machine the bytes come from and not the bytes."""
        return (f"ssh {shlex.quote(self.source.name)} cat {shlex.quote(self.path)} | {_install(self)}",)

    def check(self, machine: Machine) -> Finding:
        """Compare with the other machine's."""
        wanted = files.read(self.source, self.path)
        state = files.read(machine.shell, self.path)
        if wanted is None:
            return Finding(done=False, why=f"{self.path} is not there yet on {self.source.name}")
        if state is not None and state.content != wanted.content:
            return Finding(done=False, why=f"{self.path} is not the one of {self.source.name}")
        return _compare(state, self)

    def apply(self, machine: Machine) -> None:
        """Carry it over.

        Raises:
            BootstrapError: The other machine has none.
        """
        wanted = files.read(self.source, self.path)
        if wanted is None:
            raise BootstrapError(
                f"{self.source.name} has no {self.path} to copy.",
                next_step="Set that machine up first; then run this again.",
            )
        _put(machine, self, wanted.content)


def _install(step: File | SecretFile | CopiedFile) -> str:
    user, _, group = step.owner.partition(":")
    return shlex.join(("install", "-m", f"{step.mode:o}", "-o", user, "-g", group, "/dev/stdin", step.path))


def _compare(state: files.FileState | None, step: File | SecretFile | CopiedFile) -> Finding:
    if state is None:
        return Finding(done=False, why=f"{step.path} is not there")
    if state.directory:
        raise BootstrapError(
            f"{step.path} on {step.host} is a directory.", next_step="Move it away, and run this again."
        )
    if state.mode != step.mode:
        return Finding(done=False, why=f"{step.path} has mode {state.mode:o} instead of {step.mode:o}")
    if state.owner != step.owner:
        return Finding(done=False, why=f"{step.path} belongs to {state.owner} instead of {step.owner}")
    return Finding(done=True, why=f"{step.path} is as wanted")


def _put(machine: Machine, step: File | SecretFile | CopiedFile, content: bytes) -> None:
    before = files.read(machine.shell, step.path)
    data: Data = {"path": step.path, "before": _packed(before), "written": [], "writes": 0}
    entry = machine.journal.begin(step.key, step.kind, step.title, data)
    written = [*entry.data["written"], files.digest(content)]
    machine.journal.update(step.key, written=list(dict.fromkeys(written)), writes=entry.data["writes"] + 1)
    files.write(machine.shell, step.path, content, mode=step.mode, owner=step.owner)


def _packed(state: files.FileState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {"content": base64.b64encode(state.content).decode(), "mode": state.mode, "owner": state.owner}


def _restore(machine: Machine, data: Mapping[str, Any]) -> Undone:
    path, before = data["path"], data["before"]
    state = files.read(machine.shell, path)
    original = base64.b64decode(before["content"]) if before else None
    kept = ""
    if state is not None and state.digest not in data["written"] and state.content != original:
        # Not beside it: the directory may be on its way out too.
        backup = machine.journal.backups + path
        checked(machine.shell, ("sh", "-c", 'umask 077; mkdir -p -- "$(dirname -- "$1")"', "make", backup))
        files.write(machine.shell, backup, state.content, mode=state.mode, owner=state.owner)
        kept = f"{path} was changed by somebody since: that version is now {backup}"
    if original is not None:
        files.write(machine.shell, path, original, mode=before["mode"], owner=before["owner"])
    elif state is not None:
        checked(machine.shell, ("rm", "-f", "--", path))
    return Undone(kept)
