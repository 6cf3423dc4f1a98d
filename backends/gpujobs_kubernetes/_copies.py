"""One copy of a job (an index): its pods in order, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpujobs.reasons import Cause, Reason
from gpujobs.states import State
from gpujobs_kubernetes import _reasons
from gpujobs_kubernetes._views import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gpujobs_kubernetes._views import JobView, PodView

_PATIENCE_S = 10.0
"""Seconds past its grace after which a pod that is not gone means that its node does not answer."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Where one index of a job stands."""

    index: int
    state: State
    pod: PodView | None = None
    cause: Cause | None = None
    exit_code: int | None = None
    signal: int | None = None
    attempt: int = 0


def by_index(pods: Iterable[PodView]) -> dict[int, list[PodView]]:
    """The pods of each index, oldest attempt first."""
    found: dict[int, list[PodView]] = {}
    for pod in sorted(pods, key=lambda p: (p.attempt, p.created, p.name)):
        found.setdefault(pod.index, []).append(pod)
    return found


def copy_of(view: JobView, index: int, pods: Sequence[PodView], *, done: set[int], lost: set[int], now: float) -> Copy:
    """Where an index stands, from the Job's own word first, then its pods."""
    last = pods[-1] if pods else None
    attempt = attempt_of(pods)
    if index in done or (view.complete is not None and not view.lost):
        cause, code, number = _reasons.ended(last) if last and last.phase == "Succeeded" else (None, 0, None)
        return Copy(index, State.SUCCEEDED, last, cause, code if code is not None else 0, number, attempt)
    if index in lost or (view.over and last is not None and last.over):
        return _failed(view, index, last, attempt)
    if view.over:
        return _by_job(view, index, last, attempt)
    return _open(view, index, last, attempt, now)


def attempt_of(pods: Sequence[PodView]) -> int:
    """Which attempt the last of an index's pods is; servers that do not count leave it to the order."""
    return max(pods[-1].attempt, len(pods) - 1) if pods else 0


def _failed(view: JobView, index: int, last: PodView | None, attempt: int) -> Copy:
    if view.ending is not None:
        return _by_job(view, index, last, attempt)
    if last is None or not last.over:
        gone = Cause(Reason.DELETED, "Its pod was deleted before it ended.", "Submit it again.")
        return Copy(index, State.FAILED, last, gone if index not in _said(view) else job_cause(view), attempt=attempt)
    cause, code, number = _reasons.ended(last)
    state = State.CANCELLED if cause is not None and cause.code is Reason.CANCELLED else State.FAILED
    return Copy(index, state, last, cause or job_cause(view), code, number, attempt)


def _by_job(view: JobView, index: int, last: PodView | None, attempt: int) -> Copy:
    """An index that ended because its Job did."""
    cause = job_cause(view)
    state = State.CANCELLED if cause.code is Reason.CANCELLED else State.FAILED
    return Copy(index, state, last, cause, attempt=attempt)


def _said(view: JobView) -> set[int]:
    """Indexes for which the Job's own condition is the better word: none, unless its deadline passed."""
    return set(range(view.copies)) if view.failed and view.failed.reason == "DeadlineExceeded" else set()


def _open(view: JobView, index: int, last: PodView | None, attempt: int, now: float) -> Copy:
    if last is None:
        return Copy(index, State.PENDING)
    if last.running:
        return Copy(index, State.RUNNING, last, _ending(view, last, now), attempt=attempt)
    if last.over:
        if view.target is not None or last.phase == "Succeeded" or _spent(view, last):
            return Copy(index, State.RUNNING, last, Cause(Reason.STOPPING, "It is ending."), attempt=attempt)
        cause, _, _ = _reasons.ended(last)
        why = cause.message if cause else "It failed."
        again = Cause(Reason.REQUEUED, f"It is to be tried again. Before: {why}")
        return Copy(index, State.PENDING, last, again, attempt=attempt)
    if last.exit_code is not None:  # the container has ended, its pod not yet
        return Copy(index, State.RUNNING, last, Cause(Reason.STOPPING, "It is ending."), attempt=attempt)
    return Copy(index, State.PENDING, last, _reasons.waiting(last), attempt=attempt)


def _spent(view: JobView, last: PodView) -> bool:
    """Whether no other attempt follows one that failed; the Job itself says so a moment later."""
    return view.ending is not None or (last.disrupted is None and last.attempt >= view.retries)


def _ending(view: JobView, pod: PodView, now: float) -> Cause | None:
    """What there is to say of a pod that still runs: it is being ended, or its node is silent."""
    due = parse_time(pod.deleting)
    if due is not None and now > due.timestamp() + _PATIENCE_S:
        return Cause(
            Reason.NODE_UNAVAILABLE,
            f"Its node {pod.node} does not answer, so nobody knows whether it still runs; it is not started elsewhere.",
            f"Once {pod.node} is certainly dead: kubectl delete pod {pod.name} -n {view.namespace} --force.",
        )
    if view.ending is not None or pod.ending or due is not None or view.target is not None:
        return Cause(Reason.STOPPING, "It is being ended.")
    return None


def job_cause(view: JobView) -> Cause:
    """Why a Job ended, from what gpujobs noted when it ended it, else from the Job's own condition."""
    if view.ending is not None:
        code, sentence = view.ending
        known = {reason.value: reason for reason in Reason}
        return Cause(known.get(code, Reason.CANCELLED), sentence or "It was cancelled.")
    failed = view.failed
    if failed is None:
        return Cause(Reason.UNKNOWN, "It failed, and Kubernetes kept no reason.")
    if failed.reason == "DeadlineExceeded":
        return Cause(
            Reason.DEADLINE,
            "Its deadline passed; Kubernetes removed its pods and their logs.",
            "Give it more time (deadline=...).",
        )
    return Cause(
        Reason.DELETED,
        f"It failed ({failed.reason}), and its pods are gone: {failed.message}",
        "Look at its events; submit it again.",
    )
