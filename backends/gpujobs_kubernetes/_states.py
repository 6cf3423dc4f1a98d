"""From a Job and its pods to a Status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.reasons import Cause, Reason
from gpujobs.states import Native, Replicas, State, Status, from_epoch
from gpujobs_kubernetes._copies import Copy, by_index, copy_of, job_cause
from gpujobs_kubernetes._reasons import refused
from gpujobs_kubernetes._views import parse_indexes, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gpujobs.refs import Ref
    from gpujobs_kubernetes._views import JobView, PodView


def copies(view: JobView, pods: Iterable[PodView], *, now: float) -> list[Copy]:
    """Every copy of a job, by number."""
    owned = by_index(pods)
    done, lost = parse_indexes(view.done), parse_indexes(view.lost)
    return [copy_of(view, i, owned.get(i, ()), done=done, lost=lost, now=now) for i in range(view.copies)]


def job_status(ref: Ref, view: JobView, pods: Sequence[PodView], *, now: float, refusal: str = "") -> Status:
    """The status of a Job.

    Args:
        ref: Whose it is.
        view: The Job.
        pods: Its pods.
        now: The time, in seconds since 1970.
        refusal: The newest FailedCreate event, where it has no pods.
    """
    all_copies = copies(view, pods, now=now)
    state, cause = _whole(view, all_copies, refusal)
    culprit = _culprit(all_copies, state)
    ended = parse_time(view.completed or (view.failed.since if view.failed else None)) if state.final else None
    states = [c.state for c in all_copies]
    shown = [c.pod for c in all_copies if c.pod is not None]
    started = _started(view, pods, final=state.final)
    failed = State.FAILED if state is not State.CANCELLED else State.CANCELLED
    return Status(
        ref=ref,
        state=state,
        name=view.title,
        reason=cause,
        exit_code=culprit.exit_code if culprit else None,
        signal=culprit.signal if culprit else None,
        attempt=max((c.attempt for c in all_copies), default=0) or (0 if shown else _counted(view)),
        replicas=Replicas(
            wanted=view.copies,
            ready=sum(c.pod.ready for c in all_copies if c.pod and c.state is State.RUNNING),
            running=states.count(State.RUNNING),
            succeeded=states.count(State.SUCCEEDED),
            failed=states.count(failed),
        ),
        nodes=tuple(sorted({p.node for p in shown if p.node})),
        submitted_at=parse_time(view.created),
        started_at=started,
        ended_at=ended,
        native=_native(view, culprit or (all_copies[0] if all_copies else None)),
        labels=view.labels,
        expected_end=_expected_end(view, started) if not state.final else None,
    )


def element_status(ref: Ref, index: int, view: JobView, pods: Sequence[PodView], *, now: float) -> Status:
    """The status of one element of an array."""
    owned = [p for p in pods if p.index == index]
    copy = copy_of(view, index, owned, done=parse_indexes(view.done), lost=parse_indexes(view.lost), now=now)
    state, cause = copy.state, copy.cause
    if state is State.PENDING and copy.pod is None:
        state, cause = _not_begun(view, "") or (state, _limited(view))
    pod = copy.pod
    ended = parse_time(
        (pod.ended_at if pod else None) or view.completed or (view.failed.since if view.failed else None)
    )
    return Status(
        ref=ref,
        state=state,
        name=view.title,
        reason=cause,
        exit_code=copy.exit_code,
        signal=copy.signal,
        attempt=copy.attempt,
        replicas=Replicas(
            running=int(state is State.RUNNING),
            succeeded=int(state is State.SUCCEEDED),
            failed=int(state.final and state is not State.SUCCEEDED),
        ),
        nodes=(pod.node,) if pod and pod.node else (),
        submitted_at=parse_time(view.created),
        started_at=parse_time(pod.started_at) if pod else None,
        ended_at=ended if state.final else None,
        native=_native(view, copy),
        labels=view.labels,
    )


def _whole(view: JobView, all_copies: Sequence[Copy], refusal: str) -> tuple[State, Cause | None]:
    """(state, reason) of the job as one."""
    if view.complete is not None:
        return State.SUCCEEDED, next((c.cause for c in all_copies if c.cause), None)
    if view.failed is not None:
        return _ended_badly(view, all_copies)
    running = [c for c in all_copies if c.state is State.RUNNING]
    if running:
        waits = next((c.cause for c in all_copies if c.state is State.PENDING and c.pod and c.cause), None)
        notes = [c.cause for c in running if c.cause]
        return State.RUNNING, notes[0] if notes else (_half(view, waits) if view.gang and waits else None)
    if all(c.state.final for c in all_copies):
        return State.RUNNING, Cause(Reason.STOPPING, "It is ending.")
    told = [c.cause for c in all_copies if c.state is State.PENDING and c.pod is not None and c.cause is not None]
    if told:
        urgent = [c for c in told if c.code not in {Reason.STARTING, Reason.QUEUED}]
        return State.PENDING, (urgent or told)[0]
    return _not_begun(view, refusal) or (State.PENDING, Cause(Reason.STARTING, "Its pods are being made."))


def _half(view: JobView, waits: Cause) -> Cause:
    return Cause(
        waits.code,
        f"Some of its {view.copies} nodes run already and wait for the others. {waits.message}",
        waits.next or "Kubernetes starts nodes one by one; Kueue (queue=...) starts all or none.",
    )


def _ended_badly(view: JobView, all_copies: Sequence[Copy]) -> tuple[State, Cause]:
    if view.ending is not None or (view.failed is not None and view.failed.reason == "DeadlineExceeded"):
        cause = job_cause(view)
        return (State.CANCELLED if cause.code is Reason.CANCELLED else State.FAILED), cause
    bad = _culprit(all_copies, State.FAILED)
    if bad is None or bad.cause is None:
        return State.FAILED, job_cause(view)
    if view.copies == 1:
        return State.FAILED, bad.cause
    count = sum(c.state is State.FAILED for c in all_copies)
    what = "nodes" if view.gang else "elements"
    return State.FAILED, Cause(
        bad.cause.code,
        f"{count} of {view.copies} {what} failed; number {bad.index}: {bad.cause.message}",
        bad.cause.next,
    )


def _culprit(all_copies: Sequence[Copy], state: State) -> Copy | None:
    """The copy whose end is the job's: the first that failed, or the only one that ended well."""
    if state is State.SUCCEEDED:
        return all_copies[0] if all_copies else None
    if state is not State.FAILED:
        return None
    failed = [c for c in all_copies if c.state is State.FAILED]
    told = [c for c in failed if c.exit_code is not None or c.signal is not None]
    return min(told or failed, key=_ended_first, default=None)


def _ended_first(copy: Copy) -> tuple[str, int]:
    return (copy.pod.ended_at or "~" if copy.pod else "~", copy.index)


def _not_begun(view: JobView, refusal: str) -> tuple[State, Cause] | None:
    """(state, reason) of a job that has no pod, where the Job itself tells why."""
    if view.ending is not None or view.target is not None:
        return State.PENDING, Cause(Reason.STOPPING, "It is being ended.")
    if view.suspended:
        return _suspended(view)
    return (State.PENDING, refused(refusal)) if refusal else None


def _suspended(view: JobView) -> tuple[State, Cause]:
    if view.hold == "children":
        again = "Submit it again with the same key: that completes it."
        return State.PENDING, Cause(Reason.STARTING, "Its submission is not complete.", again)
    if view.hold == "after":
        refs = ", ".join(f"{ref} ({when})" for when, ref in view.after)
        return State.PENDING, Cause(
            Reason.DEPENDENCY,
            f"It waits for {refs}.",
            "Any gpujobs client that looks at it (wait, status, ps) starts it once that has ended.",
        )
    if view.queue:
        return State.PENDING, Cause(Reason.QUEUED, f"It waits to be admitted by the Kueue queue {view.queue!r}.")
    return State.SUSPENDED, Cause(
        Reason.PAUSED, "Somebody suspended it.", f'kubectl patch job {view.name} -p \'{{"spec":{{"suspend":false}}}}\''
    )


def _counted(view: JobView) -> int:
    """The last attempt of a job whose pods are gone; the one that its end took down is counted as failed too."""
    return max(view.failures - 1, 0) if view.over and view.copies == 1 else 0


def _limited(view: JobView) -> Cause:
    return Cause(Reason.ARRAY_LIMIT, f"It waits for its turn among the {view.copies} elements of its array.")


def _started(view: JobView, pods: Sequence[PodView], *, final: bool) -> datetime | None:
    times = [p.started_at for p in pods if p.started_at]
    if times:
        return parse_time(min(times))
    # Without pods only the Job's own start is left, which is when it could have started.
    return parse_time(view.started) if final and not pods and view.ending is None else None


def _expected_end(view: JobView, started: datetime | None) -> datetime | None:
    ends: list[float] = []
    if view.time_limit is not None and started is not None:
        ends.append(started.timestamp() + view.time_limit)
    created = parse_time(view.created)
    if view.deadline is not None and created is not None:
        ends.append(created.timestamp() + view.deadline)
    return from_epoch(min(ends)) if ends else None


def _native(view: JobView, copy: Copy | None) -> Native:
    pod = copy.pod if copy else None
    word = (
        "Complete"
        if view.complete
        else "Failed"
        if view.failed
        else "Suspended"
        if view.suspended
        else pod.phase
        if pod
        else "Active"
    )
    told = view.failed or view.target or view.complete
    own = (pod.ended or pod.waiting or pod.reason) if pod else ""
    unscheduled = pod.unscheduled.reason if pod and pod.unscheduled else ""
    return Native(word, own or unscheduled or (told.reason if told else ""))
