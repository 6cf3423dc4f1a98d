"""From rows to statuses. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gpujobs.reasons import Cause, Reason
from gpujobs.results import ReplicaStatus
from gpujobs.states import Native, Replicas, State, Status, from_epoch
from gpujobs_local._records import STARTING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from gpujobs.refs import Ref

_WORST_FIRST = (State.FAILED, State.LOST, State.CANCELLED, State.SUCCEEDED)


def state_of(task: sqlite3.Row) -> State:
    """A task's public state."""
    return State.PENDING if task["state"] == STARTING else State(task["state"])


def unknown(ref: Ref) -> Status:
    """The status of what is not in the records."""
    cause = Cause(Reason.LOST, f"There is no {ref}.", "`gpujobs ps --all` shows what there is.")
    return Status(ref, State.LOST, reason=cause)


def status(
    ref: Ref, job: sqlite3.Row, tasks: Sequence[sqlite3.Row], node: str, why_waiting: Callable[[sqlite3.Row], Cause]
) -> Status:
    """The status of a job, of one element (one task given), or of a whole array.

    Args:
        ref: The ref asked for.
        job: The row of the job.
        tasks: The rows of its tasks, or of the one that is asked for.
        node: The name of this machine.
        why_waiting: Why the job's waiting tasks wait; asked only where it matters.
    """
    states = [state_of(task) for task in tasks]
    shown = _shown(tasks, states)
    state = _sum(states)
    started = [t["started_at"] for t in tasks if t["started_at"] is not None]
    single = len(tasks) == 1
    return Status(
        ref=ref,
        state=state,
        name=job["name"],
        reason=_reason(tasks, states, shown, lambda: why_waiting(job)),
        exit_code=shown["exit_code"] if state.final else None,
        signal=shown["signal"] if state.final else None,
        attempt=max(int(t["attempt"]) for t in tasks),
        replicas=Replicas(
            wanted=len(tasks),
            running=states.count(State.RUNNING),
            ready=states.count(State.RUNNING),
            succeeded=states.count(State.SUCCEEDED),
            failed=sum(s.final and s is not State.SUCCEEDED for s in states),
        ),
        nodes=(node,) if started else (),
        submitted_at=from_epoch(job["submitted_at"]),
        started_at=from_epoch(min(started, default=None)),
        ended_at=from_epoch(max((t["ended_at"] or 0.0) for t in tasks)) if state.final else None,
        native=Native(shown["state"].lower() if single else "array", shown["reason"] or ""),
        labels=json.loads(job["labels"]),
        expected_end=_expected_end(job, shown) if single and state is State.RUNNING else None,
    )


def replica(task: sqlite3.Row, name: str, node: str) -> ReplicaStatus:
    """One copy: an element of an array, or the whole of a plain job."""
    state = state_of(task)
    return ReplicaStatus(
        replica=int(task["idx"]),
        state=state,
        node=node if task["started_at"] is not None else "",
        attempt=int(task["attempt"]),
        exit_code=task["exit_code"],
        signal=task["signal"],
        ready=state is State.RUNNING,
        reason=_cause(task),
        name=name,
    )


def _sum(states: Sequence[State]) -> State:
    """The state of an array: it runs while anything of it runs, and ends as the worst of its elements."""
    if all(s.final for s in states):
        return next(s for s in _WORST_FIRST if s in states)
    if State.RUNNING in states:
        return State.RUNNING
    return State.PENDING


def _shown(tasks: Sequence[sqlite3.Row], states: Sequence[State]) -> sqlite3.Row:
    """The task whose end speaks for all: the first of the worst."""
    for state in (*_WORST_FIRST[:-1], State.RUNNING, State.PENDING):
        if state in states:
            return tasks[states.index(state)]
    return tasks[0]


def _reason(
    tasks: Sequence[sqlite3.Row], states: Sequence[State], shown: sqlite3.Row, waiting: Callable[[], Cause]
) -> Cause | None:
    state = state_of(shown)
    if state is State.PENDING:
        return Cause(Reason.STARTING, "It is being started.") if shown["state"] == STARTING else waiting()
    if shown["orphaned_at"] is not None and not state.final:
        return Cause(Reason.STOPPING, "Its supervisor was killed; its processes are being ended.")
    cause = _cause(shown)
    if cause is None or len(tasks) == 1:
        return cause
    bad = sum(s.final and s is not State.SUCCEEDED for s in states)
    message = f"{bad} of {len(tasks)} elements did not end well; the first, {shown['idx']}: {cause.message}"
    return Cause(cause.code, message, cause.next)


def _cause(task: sqlite3.Row) -> Cause | None:
    return Cause(Reason(task["reason"]), task["message"], task["next"]) if task["reason"] else None


def _expected_end(job: sqlite3.Row, task: sqlite3.Row) -> Any:
    plan = json.loads(job["plan"])
    limit = plan.get("time_limit")
    return None if limit is None or task["started_at"] is None else from_epoch(task["started_at"] + limit)
