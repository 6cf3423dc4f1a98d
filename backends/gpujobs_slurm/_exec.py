"""Run a command inside a running job: ``srun --overlap`` in its allocation."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gpujobs.errors import NotFoundError, RejectedError
from gpujobs.results import ExecResult
from gpujobs.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.refs import Ref
    from gpujobs_slurm._looking import Looker
    from gpujobs_slurm._transport import Transport

_LONGEST_S = 7 * 24 * 3600.0
_QUESTION_S = 60.0
_NO_JOB = (b"Invalid job id", b"Job/step already completing", b"Expired or invalid job")


class Executor:
    """Runs commands in the jobs of one target."""

    def __init__(self, transport: Transport, looker: Looker) -> None:
        self._transport = transport
        self._looker = looker

    def run(self, ref: Ref, argv: Sequence[str], replica: int, stdin: bytes | None) -> ExecResult:
        """What it wrote, and its exit code.

        Raises:
            NotFoundError: Nothing runs there.
        """
        done = self._transport.call("run", self._argv(ref, argv, replica), stdin or b"", _LONGEST_S)
        if done["rc"] != 0 and any(text in done["err"] for text in _NO_JOB):
            raise _not_running(ref)
        code = done["rc"] if done["rc"] >= 0 else 128 - done["rc"]
        return ExecResult(code, done["out"], done["err"])

    def interactive(self, ref: Ref, argv: Sequence[str], replica: int) -> int:
        """Its exit code."""
        words = self._argv(ref, argv, replica, "--pty")
        return subprocess.call(self._transport.shell(words))

    def _argv(self, ref: Ref, argv: Sequence[str], replica: int, *more: str) -> list[str]:
        copies = self._looker.replicas(ref)
        copy = next((c for c in copies if c.replica == replica), None)
        if copy is None:
            last = copies[-1].replica if copies else 0
            raise RejectedError(f"replica: {ref} has no copy {replica}.", next_step=f"Name one from 0 to {last}.")
        if copy.state is not State.RUNNING:
            raise _not_running(ref)
        where = [f"--nodelist={copy.node}"] if copy.node else []
        step = ["srun", f"--jobid={self._allocation(ref, copy.name)}", "--overlap", "--nodes=1", "--ntasks=1", *where]
        return [*step, *more, "--", "/bin/bash", "-c", _inside(), "gpujobs", *argv]

    def _allocation(self, ref: Ref, name: str) -> str:
        """The number of a job; ``srun`` would read that of an array's element up to its ``_``: another element's."""
        if "_" not in name:
            return name
        asked = self._transport.call("run", ["squeue", "-h", "-o", "%A", "-j", name], b"", _QUESTION_S)
        number: str = asked["out"].decode().strip()
        if not number.isdigit():
            raise _not_running(ref)
        return number


@cache
def _inside() -> str:
    return Path(__file__).with_name("inside.sh").read_text(encoding="utf-8")


def _not_running(ref: Ref) -> NotFoundError:
    return NotFoundError(f"{ref} does not run now.", next_step="`gpujobs status` says how it stands.")
