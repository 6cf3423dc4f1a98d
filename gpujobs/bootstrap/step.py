"""What a step is: something to have on one machine, that can be looked at, made and taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.journal import Journal
    from gpujobs.bootstrap.shell import Shell

Data = dict[str, Any]
"""What a step notes in the journal: JSON values, enough to take it back without the wish."""


@dataclass(frozen=True)
class Finding:
    """What a look at the machine said about a step.

    Attributes:
        done: Whether nothing is left to do.
        why: What is missing, or what is there, in a few words.
    """

    done: bool
    why: str = ""


@dataclass(frozen=True)
class Undone:
    """What an undo did with one journal entry.

    Attributes:
        kept: What was left in place on purpose, and why; "" when all went.
    """

    kept: str = ""


@dataclass(frozen=True)
class Machine:
    """A machine that is being set up: how to reach it, and what was done to it so far."""

    name: str
    shell: Shell
    journal: Journal


class Step(Protocol):
    """One thing to have on one machine.

    ``check`` only looks. ``apply`` first notes in the journal what it is about to change, and how it was
    before, and then changes it: a run killed in between can be repeated, and undone. ``undo`` needs only
    what was noted.
    """

    kind: ClassVar[str]
    """The name under which the journal finds the undo."""

    @property
    def title(self) -> str:
        """What it is for, to a person: ``Install Slurm``."""
        ...

    @property
    def host(self) -> str:
        """The name of the machine it is on."""
        ...

    @property
    def key(self) -> str:
        """What tells it from every other step on this machine, run after run."""
        ...

    def commands(self) -> tuple[str, ...]:
        """The exact commands or file contents that apply stands for; secrets are left out."""
        ...

    def check(self, machine: Machine, /) -> Finding:
        """Look whether it is there."""
        ...

    def apply(self, machine: Machine, /) -> None:
        """Make it so."""
        ...

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any], /) -> Undone:
        """Take back what the journal says was made or changed."""
        ...
