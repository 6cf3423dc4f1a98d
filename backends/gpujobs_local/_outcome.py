"""From how a task's processes ended to its state. Pure."""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpujobs.reasons import Cause, Reason
from gpujobs.states import State

if TYPE_CHECKING:
    from typing import Literal

    Ending = Literal["time-limit", "deadline", "cancel", "shutdown"]

_FIRST_SIGNAL, _LAST_SIGNAL = 129, 192
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
_ENVIRONMENT = (
    "A job does not inherit your shell's environment: give the full path, inherit_env=['venv'], or setup lines."
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a supervisor saw of one attempt.

    Attributes:
        status: The exit code of the process that decided, negative for a signal (as subprocess has it).
        ended_by: Why the supervisor itself ended it, or None.
        oom_kills: How many processes the kernel killed in it for want of memory; None where nobody counted.
        machine_oom: Whether the kernel did so anywhere on this machine meanwhile, where nobody counted.
        note: Why the command could not be started.
        limit: What the limit was, as text, for the sentence.
    """

    status: int
    ended_by: Ending | None = None
    oom_kills: int | None = None
    machine_oom: bool = False
    note: str = ""
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended; ``again`` says whether another attempt may be made."""

    state: State
    cause: Cause | None = None
    exit_code: int | None = None
    signal: int | None = None
    again: bool = False


def judge(seen: Seen) -> Outcome:
    """The outcome of one attempt."""
    code, signal = split(seen.status)
    if seen.ended_by is not None:
        state, cause = _ended(seen.ended_by, seen.limit)
        return Outcome(state, cause, code, signal)
    if (code, signal) == (0, None):
        return Outcome(State.SUCCEEDED, _survived(seen), 0)
    if seen.oom_kills or (signal == signals.SIGKILL and seen.machine_oom):
        return Outcome(State.FAILED, _out_of_memory(seen), code, signal, again=True)
    if signal is not None:
        cause = Cause(Reason.SIGNAL, f"Its command was ended by {_name(signal)}.", "Look at the end of its log.")
        return Outcome(State.FAILED, cause, None, signal, again=True)
    return Outcome(State.FAILED, _exit_code(code or 0, seen.note), code, None, again=True)


def split(status: int) -> tuple[int | None, int | None]:
    """(exit code, signal): a code of 129..192 tells of a signal too, as in a shell."""
    if status < 0:
        return None, -status
    return (None, status - 128) if _FIRST_SIGNAL <= status <= _LAST_SIGNAL else (status, None)


def _ended(by: Ending, limit: str) -> tuple[State, Cause]:
    if by == "cancel":
        return State.CANCELLED, Cause(Reason.CANCELLED, "It was cancelled.")
    if by == "time-limit":
        return State.FAILED, Cause(Reason.TIMEOUT, f"It ran into its time limit of {limit}.", "Give it more time.")
    if by == "deadline":
        cause = Cause(Reason.DEADLINE, f"It ran into its deadline of {limit}.", "Give it a later deadline.")
        return State.FAILED, cause
    cause = Cause(Reason.NODE_FAIL, "The machine was shut down while it ran.", "Submit it again.")
    return State.FAILED, cause


def _survived(seen: Seen) -> Cause | None:
    if not seen.oom_kills:
        return None
    return Cause(
        Reason.OOM,
        "It ended well, but the kernel killed a process of it that used too much memory.",
        "Check its results, and ask for more memory.",
    )


def _out_of_memory(seen: Seen) -> Cause:
    where = "It used more memory than it may" if seen.oom_kills else "The machine ran out of memory while it ran"
    return Cause(
        Reason.OOM, f"{where}, and the kernel killed it.", "Ask for more memory, or make the program use less."
    )


def _exit_code(code: int, note: str) -> Cause:
    if note:
        return Cause(Reason.EXIT_CODE, f"Its command could not be started: {note} (exit code {code}).", _ENVIRONMENT)
    if code == _NOT_FOUND:
        message = "Its command ended with exit code 127: a program was not found."
        return Cause(Reason.EXIT_CODE, message, f"{_ENVIRONMENT} The log names the program.")
    if code == _NOT_EXECUTABLE:
        message = "Its command ended with exit code 126: a program could not be executed."
        return Cause(Reason.EXIT_CODE, message, "Check its mode (chmod +x) and its first line.")
    return Cause(Reason.EXIT_CODE, f"Its command ended with exit code {code}.", "Look at the end of its log.")


def _name(number: int) -> str:
    try:
        return f"{signals.Signals(number).name} (signal {number})"
    except ValueError:
        return f"signal {number}"
