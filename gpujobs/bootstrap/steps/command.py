"""Anything that is done by a command and can be seen by another."""

from __future__ import annotations

import re
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap.errors import CommandFailedError
from gpujobs.bootstrap.shell import checked
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpujobs.bootstrap.shell import Argv
    from gpujobs.bootstrap.step import Machine


@dataclass(frozen=True)
class Command:
    """Commands that make something so, one that tells whether it is so, and those that take it back.

    Attributes:
        name: What tells it from every other command of the plan; the journal keeps it under this.
        probe: Looks, and changes nothing.
        expect: A regular expression that the probe's output must match somewhere; "" asks only for exit code 0.
        run: What makes it so, in order.
        undo_run: What takes it back, in order; nothing where there is nothing to take back.
        keeps: What stays when it is taken back, and why.
        stdin: Fed to the last command of ``run``: a manifest, say. It is part of what a plan shows.
        settle_s: How long the probe may take to become true after ``run``.
        timeout_s: How long each command may take.
    """

    kind: ClassVar[str] = "command"
    host: str
    title: str
    name: str
    probe: Argv
    run: tuple[Argv, ...]
    expect: str = ""
    undo_run: tuple[Argv, ...] = ()
    keeps: str = ""
    stdin: str = ""
    settle_s: float = 0
    timeout_s: float = 900
    sleep: Callable[[float], None] = time.sleep

    @property
    def key(self) -> str:
        """The name makes it one of a kind."""
        return f"command:{self.name}"

    def commands(self) -> tuple[str, ...]:
        """The commands, quoted for a shell."""
        shown = [as_shown(argv) for argv in self.run]
        if self.stdin:
            shown[-1] += f" <<'EOF'\n{self.stdin}EOF"
        return tuple(shown)

    def check(self, machine: Machine) -> Finding:
        """Ask the probe."""
        completed = machine.shell.run(self.probe)
        if completed.ok and (not self.expect or re.search(self.expect, completed.text, re.MULTILINE)):
            return Finding(done=True)
        said = completed.last_line or f"nothing (exit code {completed.exit_code})"
        shown = shlex.join(self.probe)
        # A script of several lines would bury what it says.
        return Finding(done=False, why=said if "\n" in shown else f"`{shown}` says: {said}")

    def apply(self, machine: Machine) -> None:
        """Run the commands, and wait for the probe."""
        machine.journal.begin(
            self.key, self.kind, self.title, {"undo": [list(argv) for argv in self.undo_run], "keeps": self.keeps}
        )
        for number, argv in enumerate(self.run, 1):
            stdin = self.stdin.encode() if number == len(self.run) else b""
            checked(machine.shell, argv, stdin=stdin, timeout_s=self.timeout_s)
        waited = 0.0
        while waited < self.settle_s and not self.check(machine).done:
            self.sleep(0.5)
            waited += 0.5

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Run what was noted for this."""
        for argv in data["undo"]:
            completed = machine.shell.run(tuple(argv), timeout_s=900)
            if completed.exit_code not in {0, _NOT_FOUND}:
                raise CommandFailedError(machine.name, completed)
        return Undone(data["keeps"])


# The program itself is gone: somebody removed the package, and with it what was to be taken back.
_NOT_FOUND = 127


_GUARD = "if"


def guarded(test: str, *argv: str) -> Argv:
    """The command where a test of the shell holds, and nothing where it does not."""
    return ("sh", "-c", f'if {test}; then exec "$@"; fi', _GUARD, *argv)


def as_shown(argv: Argv) -> str:
    """A command as a person would type it, quoted for a shell: without the guard before it."""
    return shlex.join(argv[4:] if argv[:2] == ("sh", "-c") and argv[3:4] == (_GUARD,) else argv)
