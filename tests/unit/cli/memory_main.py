"""The command line over the in-memory backend and the real clock, as a program of its own.

The command ``work CODE SECONDS`` ends with that code after that time; its log is the variable OUT.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gpujobs import Client, Config
from gpujobs.backend import SystemClock
from gpujobs.cli import main
from gpujobs.testing import MemoryBackend, Outcome

if TYPE_CHECKING:
    from gpujobs.backend import Submission


def outcome(item: Submission) -> Outcome:
    """What the words of the command say."""
    _, code, seconds = item.spec.command
    return Outcome(int(code), item.spec.env.get("OUT", "").encode(), float(seconds))


if __name__ == "__main__":
    backend = MemoryBackend.create(clock=SystemClock(), outcome=outcome)
    sys.exit(main(client_factory=lambda: Client(Config(), backends={"memory": backend})))
