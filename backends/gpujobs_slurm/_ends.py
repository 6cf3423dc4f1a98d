"""How a job ended: from Slurm's state where there is one, else from what the job itself left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpujobs.backend import split_exit
from gpujobs.reasons import Cause, Reason
from gpujobs.states import State
from gpujobs_slurm._states import meaning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs_slurm._rows import Row

_NO_DIRECTORY = 53
"""The "signal" that Slurm reports where it could not open the output or enter the directory."""
_RECORD_MISSING = 74
_STOOD_DOWN = 75
_CANNOT_EXECUTE = 126
_NOT_FOUND = 127
_KILL = 9
_SHELL_SIGNAL = 128

_SENTENCES: dict[Reason, tuple[str, str]] = {
    Reason.TIMEOUT: ("It ran into its time limit.", "Give it more time: time_limit."),
    Reason.DEADLINE: ("Its deadline passed before it had ended.", "Give it a later deadline, or ask for less."),
    Reason.OOM: ("The kernel killed a process of it for using more memory than it asked for.", "Ask for more memory."),
    Reason.NODE_FAIL: ("The node it ran on failed.", "Submit it again, with requeue=True to have Slurm do that."),
    Reason.PREEMPTED: ("A job with a higher priority took its place.", "Submit it again, with requeue=True."),
    Reason.CANCELLED: ("It was cancelled.", ""),
    Reason.DEPENDENCY: ("The job it was to run after did not end as asked.", "Look at that job first."),
    Reason.LAUNCH_FAILED: (
        "Slurm could not start it: its working directory, or the directory of its log, is not on the node.",
        "Check workdir and output, and that job_dir is on a file system that the nodes share.",
    ),
    Reason.LOST: ("It was started, and Slurm has no word of its end; it left none either.", "Look at the node's logs."),
}


@dataclass(frozen=True, slots=True)
class End:
    """A final state and why."""

    state: State
    cause: Cause | None = None
    exit_code: int | None = None
    signal: int | None = None


@dataclass(frozen=True, slots=True)
class Traces:
    """What a job (or an element) left in its record.

    Attributes:
        outcomes: By attempt: exit status, the signal it received, OOM kills, slurmstepd's note.
        started: By attempt.
        cancelled: Whether it was cancelled through gpujobs.
    """

    outcomes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict[int, "Mapping[str, Any]"])
    started: Mapping[int, Mapping[str, Any]] = field(default_factory=dict[int, "Mapping[str, Any]"])
    cancelled: bool = False

    @property
    def attempt(self) -> int:
        """The newest attempt that left anything."""
        return max([0, *self.outcomes, *self.started])


def told(reason: Reason, message: str = "", step: str | None = None) -> Cause:
    """A cause with its usual sentence."""
    usual, usual_step = _SENTENCES.get(reason, ("", ""))
    return Cause(reason, message or usual, usual_step if step is None else step)


def end_by_slurm(row: Row, traces: Traces) -> End:
    """What a final state of Slurm means, with what the job left for what Slurm does not tell."""
    means = meaning(row.state)
    outcome = traces.outcomes.get(row.restarts) or traces.outcomes.get(traces.attempt, {})
    if means.state is State.SUCCEEDED:
        return End(State.SUCCEEDED, None, 0)
    if means.reason is Reason.OOM:
        return _oom(outcome)
    if means.reason is Reason.EXIT_CODE:
        return _by_signal(row.signal, traces) if row.signal else _by_exit(row.exit_code, outcome, traces)
    never = row.reason.startswith("DependencyNeverSatisfied")
    return End(means.state, told(Reason.DEPENDENCY if never else means.reason or Reason.UNKNOWN))


def _by_signal(signal: int, traces: Traces) -> End:
    """The batch script itself was ended, or never began."""
    if signal == _NO_DIRECTORY or not traces.started:
        return End(State.FAILED, told(Reason.LAUNCH_FAILED))
    return End(State.FAILED, Cause(Reason.SIGNAL, f"Signal {signal} ended it.", "Read its log."), None, signal)


def _by_exit(status: int, outcome: Mapping[str, Any], traces: Traces) -> End:
    if status == _STOOD_DOWN and traces.cancelled:
        return End(State.CANCELLED, told(Reason.CANCELLED))
    if status == _STOOD_DOWN and not outcome:
        return End(State.FAILED, Cause(Reason.DUPLICATE, "Another job of the same key runs, so this one stood down."))
    if status == _RECORD_MISSING and not outcome:
        return End(
            State.FAILED,
            Cause(
                Reason.LAUNCH_FAILED,
                "Its job directory is not on the node, or cannot be written there.",
                "Set job_dir to a directory on a file system that the nodes share.",
            ),
        )
    if status and int(outcome.get("oom") or 0) > 0:
        return _oom(outcome)
    # sacct prints 140 as 12: only the job itself still tells the two apart.
    known = int(outcome.get("exit") or 0)
    return ended(known if known == status + _SHELL_SIGNAL else status)


def ended(status: int) -> End:
    """The end of a command by its exit status as a shell shows it."""
    code, signal = split_exit(status)
    if code == 0:
        return End(State.SUCCEEDED, None, 0)
    if signal is not None:
        return End(State.FAILED, Cause(Reason.SIGNAL, f"Signal {signal} ended it.", "Read its log."), None, signal)
    step = {
        _NOT_FOUND: "Something was not found: nothing of your shell reaches a job; use setup, env, inherit_env.",
        _CANNOT_EXECUTE: "A program cannot be executed: check its mode and its kind.",
    }.get(status, "Read its log.")
    return End(State.FAILED, Cause(Reason.EXIT_CODE, f"Its command ended with exit code {code}.", step), code)


def _oom(outcome: Mapping[str, Any]) -> End:
    status = int(outcome.get("exit") or 0)
    code, signal = split_exit(status) if status else (None, _KILL)
    return End(State.FAILED, told(Reason.OOM), code, signal)


_NOTES: tuple[tuple[str, State, Reason], ...] = (
    ("DUE TO TIME LIMIT", State.FAILED, Reason.TIMEOUT),
    ("DUE TO PREEMPTION", State.FAILED, Reason.PREEMPTED),
    ("DUE TO NODE", State.FAILED, Reason.NODE_FAIL),
    ("CANCELLED AT", State.CANCELLED, Reason.CANCELLED),
)
"""slurmstepd's words for why it ended a job, the more special first."""


def end_by_traces(traces: Traces) -> End:
    """What the job itself left, when Slurm knows it no more."""
    if not traces.started and not traces.outcomes:
        if traces.cancelled:
            return End(State.CANCELLED, told(Reason.CANCELLED))
        return End(State.LOST, told(Reason.LOST, "Slurm knows it no more, and it never started.", "Submit it again."))
    outcome = traces.outcomes.get(traces.attempt)
    if outcome is None:
        return End(State.CANCELLED, told(Reason.CANCELLED)) if traces.cancelled else End(State.LOST, told(Reason.LOST))
    if outcome.get("received"):
        return _by_note(str(outcome.get("note") or ""), outcome, traces)
    return _oom(outcome) if int(outcome.get("oom") or 0) > 0 else ended(int(outcome.get("exit") or 0))


def _by_note(note: str, outcome: Mapping[str, Any], traces: Traces) -> End:
    """It was told to end; slurmstepd's note in its output says why."""
    for words, state, reason in _NOTES:
        if words in note:
            return End(state, told(reason))
    return End(State.CANCELLED, told(Reason.CANCELLED)) if traces.cancelled else ended(int(outcome.get("exit") or 0))
