"""A wait as a step: nothing is made, so nothing is noted and nothing is taken back."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap.shell import checked
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.shell import Argv
    from gpujobs.bootstrap.step import Machine


@dataclass(frozen=True)
class Wait:
    """Something that comes by itself.

    Attributes:
        name: What tells it from every other wait of the plan.
        probe: Looks once.
        expect: A regular expression that the probe's output must match somewhere.
        run: Waits.
    """

    kind: ClassVar[str] = "wait"
    host: str
    title: str
    name: str
    probe: Argv
    expect: str
    run: Argv
    timeout_s: float = 900

    @property
    def key(self) -> str:
        """The name makes it one of a kind."""
        return f"wait:{self.name}"

    def commands(self) -> tuple[str, ...]:
        """The command that waits."""
        return (shlex.join(self.run),)

    def check(self, machine: Machine) -> Finding:
        """Ask the probe."""
        completed = machine.shell.run(self.probe)
        if completed.ok and re.search(self.expect, completed.text, re.MULTILINE):
            return Finding(done=True)
        said = completed.last_line or "nothing"
        return Finding(done=False, why=f"`{shlex.join(self.probe)}` says: {said}")

    def apply(self, machine: Machine) -> None:
        """Wait.

        Raises:
            CommandFailedError: It did not come in time.
        """
        checked(machine.shell, self.run, timeout_s=self.timeout_s)

    @staticmethod
    def undo(_: Machine, _data: Mapping[str, Any]) -> Undone:
        """There is nothing to take back."""
        return Undone()
