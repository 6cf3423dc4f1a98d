"""What is wrong with a machine or a cluster, why, and what mends it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpujobs.bootstrap.shell import checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpujobs.bootstrap.shell import Argv, Shell


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong.

    Attributes:
        host: The machine on which the fix is run.
        what: What is wrong, and on what.
        why: The evidence, or what it leads to.
        fix: The commands that mend it, in order; none where only a person can.
        safe: Whether the fix loses nothing and ends no job, so that ``--fix`` may run it.
        advice: What a person has to do, where there is no command or it is not safe.
    """

    host: str
    what: str
    why: str
    fix: tuple[Argv, ...] = ()
    safe: bool = False
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON object for programs."""
        return {
            "host": self.host,
            "what": self.what,
            "why": self.why,
            "fix": [shlex.join(argv) for argv in self.fix],
            "safe": self.safe,
            "advice": self.advice,
        }


def mend(troubles: Iterable[Trouble], shells: Mapping[str, Shell]) -> list[Trouble]:
    """Run the safe fixes, and return those that were run.

    Raises:
        CommandFailedError: A fix failed; the ones before it are done.
    """
    mended = [trouble for trouble in troubles if trouble.safe and trouble.fix]
    for trouble in mended:
        for argv in trouble.fix:
            checked(shells[trouble.host], argv)
    return mended
