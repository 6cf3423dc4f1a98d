"""The pure half: from what is known of a child to a ``Status``. No process, no file, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gpujobs.backend import split_exit
from gpujobs.reasons import Cause, Reason
from gpujobs.states import Native, Replicas, State, Status, from_epoch

if TYPE_CHECKING:
    from gpujobs.backend import Submission
    from gpujobs.refs import Ref


@dataclass(frozen=True, slots=True)
class Child:
    """What is known of one job."""

    ref: Ref
    item: Submission
    started: float
    ended: float | None = None
    code: int | None = None
    """As ``Popen.returncode`` has it: minus the number of the signal that ended it."""
    ended_by: Literal["itself", "cancel", "time limit"] = "itself"


def to_status(child: Child) -> Status:
    """Where a job stands, in the words of gpujobs; the system's own word goes into ``native``."""
    state, cause = _end(child)
    # A shell shows signal n as 128+n; split_exit tells both ways of ending apart, alike on every backend.
    shown = None if child.code is None else child.code if child.code >= 0 else 128 - child.code
    exit_code, signal = (None, None) if shown is None or child.ended_by != "itself" else split_exit(shown)
    return Status(
        ref=child.ref,
        state=state,
        name=child.item.spec.name or "",
        reason=cause,
        exit_code=exit_code,
        signal=signal,
        replicas=Replicas(
            running=int(state is State.RUNNING),
            succeeded=int(state is State.SUCCEEDED),
            failed=int(state.final and state is not State.SUCCEEDED),
        ),
        nodes=("here",),
        submitted_at=from_epoch(child.started),
        started_at=from_epoch(child.started),
        ended_at=from_epoch(child.ended),
        native=Native("running" if child.code is None else f"returncode {child.code}"),
        labels=dict(child.item.spec.labels),
    )


def unknown(ref: Ref) -> Status:
    """The system answered and has no such job: LOST, never an error and never success."""
    return Status(ref, State.LOST, reason=Cause(Reason.LOST, f"There is no {ref}.", "It lived in another process."))


def _end(child: Child) -> tuple[State, Cause | None]:
    if child.code is None:
        return State.RUNNING, None
    if child.ended_by == "cancel":
        return State.CANCELLED, Cause(Reason.CANCELLED, "It was cancelled.")
    if child.ended_by == "time limit":
        return State.FAILED, Cause(Reason.TIMEOUT, "It ran into its time limit.", "Give it more time (time_limit).")
    if child.code == 0:
        return State.SUCCEEDED, None
    if child.code < 0:
        return State.FAILED, Cause(Reason.SIGNAL, f"Signal {-child.code} ended it.", "Read its log.")
    return State.FAILED, Cause(Reason.EXIT_CODE, f"Its command ended with exit code {child.code}.", "Read its log.")
