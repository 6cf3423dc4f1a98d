"""What a bootstrap raises, below the one tree of gpujobs.

::

    GpuJobsError
    └── BootstrapError               a machine could not be set up, looked at or taken back
        ├── CommandFailedError       one command on one machine ended badly
        ├── StepFailedError          a step failed: which, why, what is done and what is not
        ├── BusyError                another bootstrap holds this machine
        └── RefusedError             this machine, or this wish, is not one we set up
    UnavailableError                 the machine could not be reached (of the core)
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from gpujobs.errors import GpuJobsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.bootstrap.shell import Completed

_OUTPUT_LINES = 40


class BootstrapError(GpuJobsError):
    """A machine could not be set up, looked at or taken back."""


class CommandFailedError(BootstrapError):
    """A command on a machine exited with something other than 0.

    Attributes:
        command: The command, quoted for a shell.
        exit_code: What it exited with.
        output: The last lines of what it printed.
    """

    def __init__(self, host: str, completed: Completed) -> None:
        self.host = host
        self.command = shlex.join(completed.argv)
        self.exit_code = completed.exit_code
        self.output = "\n".join((completed.text + completed.error_text).splitlines()[-_OUTPUT_LINES:])
        last = completed.last_line
        super().__init__(
            f"On {host}, `{_shortened(self.command)}` exited {self.exit_code}" + (f": {last}" if last else "."),
            next_step="Run that command on the machine to see more, mend the cause, and run this again.",
        )


class StepFailedError(BootstrapError):
    """A step of an apply or an undo failed; what came before it stays done, and a new run goes on from there.

    Attributes:
        step: The title of the step.
        host: The machine it ran on.
        command: The command that failed, or "" when no command did.
        output: What that command printed last.
        done: Titles of the steps that are done.
        not_done: Titles of the steps that are not, this one first.
    """

    def __init__(
        self,
        message: str,
        *,
        step: str,
        host: str,
        cause: Exception | None,
        done: Sequence[str],
        not_done: Sequence[str],
    ) -> None:
        advice = cause.next_step if isinstance(cause, GpuJobsError) and cause.next_step else ""
        super().__init__(
            message,
            next_step=f"{len(done)} steps are done and {len(not_done)} are not; run the same command again and it goes "
            f"on from here. {advice}".strip(),
        )
        self.step = step
        self.host = host
        self.command = cause.command if isinstance(cause, CommandFailedError) else ""
        self.output = cause.output if isinstance(cause, CommandFailedError) else ""
        self.done = tuple(done)
        self.not_done = tuple(not_done)


class BusyError(BootstrapError):
    """Another bootstrap is at work on this machine."""


class RefusedError(BootstrapError):
    """This machine, or this wish, is not one that gpujobs sets up; nothing was changed."""


def _shortened(command: str) -> str:
    limit = 200
    command = " ".join(command.split())  # an error is one line, a script is many
    return command if len(command) <= limit else command[: limit - 3] + "..."
