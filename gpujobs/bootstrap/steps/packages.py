"""Packages of a Debian or an Ubuntu."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap import files
from gpujobs.bootstrap.shell import checked
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpujobs.bootstrap.shell import Argv, Completed, Shell
    from gpujobs.bootstrap.step import Machine

_APT: Argv = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "apt-get", "-q", "-y")
# Another apt may be at work: wait for it instead of failing at once.
_WAIT: Argv = ("-o", "DPkg::Lock::Timeout=300")
# Offline, a newer version that a list names and nobody can fetch must not be chosen.
_NO_SERVER: Argv = ("-o", "Dir::Etc::SourceList=/dev/null", "-o", "Dir::Etc::SourceParts=/dev/null")
_TIMEOUT_S = 1800
# Inst munge (0.5.15-2+deb12u1 Debian:12.11/stable [amd64])
_INSTALLS = re.compile(r"^Inst (\S+)", re.MULTILINE)
# Purg slurmd [22.05.8-4+deb12u3]       Remv foo [1.0]
_REMOVALS = re.compile(r"^(?:Purg|Remv) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Packages:
    """Packages that are installed, with what they need and nothing they merely recommend.

    Attributes:
        names: The packages.
        source: A directory with ``.deb`` files on that machine, in place of the package server.
        accounts: Users that these packages make and their removal leaves behind.
        directories: What comes with these packages and goes with them: if one of them was there before,
            an undo removes the packages and leaves their configuration, since a purge asks nobody.
        leaves: Paths with the user's data that the packages leave behind when they go.
        after_removal: A command for what their removal breaks in others.
    """

    kind: ClassVar[str] = "packages"
    host: str
    title: str
    names: tuple[str, ...]
    source: str = ""
    accounts: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    after_removal: Argv = ()

    @property
    def key(self) -> str:
        """One set of packages a machine and title."""
        return f"packages:{self.title}"

    def commands(self) -> tuple[str, ...]:
        """The apt-get commands."""
        update = () if self.source else (shlex.join((*_APT, "update")),)
        files_ = f" $(printf -- ' --with-source=%s' {shlex.quote(self.source)}/*.deb)" if self.source else ""
        server = _NO_SERVER if self.source else ()
        return (*update, shlex.join((*_APT, *_WAIT, *server, *self._install())) + files_)

    def _install(self) -> Argv:
        return ("install", "--no-install-recommends", *self.names)

    def check(self, machine: Machine) -> Finding:
        """Ask dpkg."""
        missing = sorted(set(self.names) - installed(machine.shell, self.names))
        if missing:
            return Finding(done=False, why=f"not installed: {' '.join(missing)}")
        return Finding(done=True, why="installed")

    def apply(self, machine: Machine) -> None:
        """Install what is missing, having noted everything that will come along."""
        shell = machine.shell
        _finish_interrupted(shell)
        offline, server = self._offline(shell), _NO_SERVER if self.source else ()
        updated = None if self.source else shell.run((*_APT, "update"), timeout_s=_TIMEOUT_S)
        coming = _explained(shell, (*_APT, *server, "-s", *self._install(), *offline), updated)
        self._note(machine, _INSTALLS.findall(coming.text))
        checked(shell, (*_APT, *_WAIT, *server, *self._install(), *offline), timeout_s=_TIMEOUT_S)

    def _offline(self, shell: Shell) -> Argv:
        if not self.source:
            return ()
        found = checked(shell, ("find", self.source, "-maxdepth", "1", "-name", "*.deb")).text.splitlines()
        return tuple(f"--with-source={path}" for path in sorted(found))

    def _note(self, machine: Machine, coming: Iterable[str]) -> None:
        shell = machine.shell
        known = machine.journal.find(self.key)
        data = {
            "names": sorted({*coming, *(known.data["names"] if known else ())}),
            "accounts": [name for name in self.accounts if not shell.run(("id", "-u", name)).ok],
            "absent": [path for path in self.directories if files.read(shell, path) is None],
            "purge": all(files.read(shell, path) is None for path in self.directories),
            "leaves": list(self.leaves),
            "after_removal": list(self.after_removal),
        }
        machine.journal.begin(self.key, self.kind, self.title, data)
        machine.journal.update(self.key, names=data["names"])

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Remove what came, except what somebody else's package needs by now."""
        names = sorted(installed(machine.shell, data["names"], configured_only=False))
        going = _removable(machine.shell, names)
        if going:
            verb = "purge" if data["purge"] else "remove"
            checked(machine.shell, (*_APT, *_WAIT, verb, *going), timeout_s=_TIMEOUT_S)
            if data.get("after_removal"):
                machine.shell.run(tuple(data["after_removal"]))
        for account in data["accounts"] if going == names else ():
            machine.shell.run(("userdel", account))
            machine.shell.run(("groupdel", account))
        if going == names and data["purge"]:
            checked(machine.shell, ("rm", "-rf", "--one-file-system", "--", *data["absent"]))
        stay = sorted(set(names) - set(going))
        left = [path for path in data["leaves"] if files.read(machine.shell, path) is not None]
        notes = [f"other packages need {' '.join(stay)}"] if stay else []
        return Undone("; ".join(notes + [f"{path} stays: it holds your data" for path in left]))


def installed(shell: Shell, names: Sequence[str], *, configured_only: bool = True) -> set[str]:
    """Which of these packages are installed, or, if asked, have left anything behind."""
    if not names:
        return set()
    completed = shell.run(("dpkg-query", "-W", "-f", "${db:Status-Status} ${binary:Package}\\n", *names))
    # half-configured slurmd / installed libhwloc15:amd64 / config-files munge / not-installed foo
    rows = [line.partition(" ") for line in completed.text.splitlines()]
    there = {"installed"} if configured_only else {state for state, _, _ in rows} - {"not-installed"}
    return {name.partition(":")[0] for state, _, name in rows if state in there}


def _finish_interrupted(shell: Shell) -> None:
    """An installation that was cut off leaves packages unpacked; until they are configured apt does nothing else."""
    if shell.run(("dpkg", "--audit")).text.strip():
        shell.run(("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--configure", "-a"), timeout_s=_TIMEOUT_S)
    if shell.run(("dpkg", "--audit")).text.strip():
        checked(shell, (*_APT, *_WAIT, "--fix-broken", "install"), timeout_s=_TIMEOUT_S)


def _removable(shell: Shell, names: list[str]) -> list[str]:
    """Those of the packages that can go without taking a foreign one with them."""
    going = list(names)
    while going:
        planned = checked(shell, (*_APT, "purge", "-s", *going))
        foreign = sorted({name.partition(":")[0] for name in _REMOVALS.findall(planned.text)} - set(names))
        if not foreign:
            return going
        needed = _needed_by(shell, foreign)
        if not needed & set(going):
            return []
        going = [name for name in going if name not in needed]
    return going


def _needed_by(shell: Shell, names: Sequence[str]) -> set[str]:
    listed = checked(
        shell, ("apt-cache", "depends", "--recurse", "--installed", "--no-recommends", "--no-suggests", *names)
    )
    # A line that is not indented names a package that is needed, directly or not.
    return {line.partition(":")[0] for line in listed.text.splitlines() if line[:1].isalnum()}


def _explained(shell: Shell, argv: Argv, updated: Completed | None) -> Completed:
    """The simulation; where it fails after a failed update, the update is the cause to tell."""
    if updated is not None and not updated.ok and not shell.run(argv).ok:
        return checked(shell, updated.argv, timeout_s=_TIMEOUT_S)
    return checked(shell, argv)
