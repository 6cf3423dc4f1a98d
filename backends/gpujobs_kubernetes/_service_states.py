"""From a Deployment and its pods to a Status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.backend import split_exit
from gpujobs.reasons import Cause, Reason
from gpujobs.results import ReplicaStatus
from gpujobs.states import Native, Replicas, State, Status
from gpujobs_kubernetes import _reasons
from gpujobs_kubernetes._views import parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.refs import Ref
    from gpujobs_kubernetes._service_views import ServiceView
    from gpujobs_kubernetes._views import PodView

_SILENT_S = 10.0


def service_status(ref: Ref, view: ServiceView, pods: Sequence[PodView], *, now: float) -> Status:
    """PENDING until one copy is ready, then RUNNING; SUSPENDED when scaled to none; CANCELLED when ended."""
    alive = [p for p in pods if not p.over]
    staying = [p for p in alive if not p.deleting]
    state, cause = _state(view, alive, staying, now)
    leaving = len(alive) - len(staying)
    outdated = max(view.copies - view.updated, 0) + leaving if view.observed else max(view.wanted, 1)
    starts = [p.started_at for p in staying if p.started_at]
    return Status(
        ref=ref,
        state=state,
        name=view.title,
        reason=cause,
        attempt=max((p.restarts for p in staying), default=0),
        replicas=Replicas(
            wanted=view.wanted,
            ready=view.ready,
            running=sum(p.running for p in staying),
            failed=sum(p.phase == "Failed" and not p.deleting for p in pods),
            outdated=outdated,
        ),
        nodes=tuple(sorted({p.node for p in staying if p.node})),
        submitted_at=parse_time(view.created),
        started_at=parse_time(min(starts)) if starts else None,
        native=_native(view, cause),
        labels=view.labels,
    )


def _state(
    view: ServiceView, alive: Sequence[PodView], staying: Sequence[PodView], now: float
) -> tuple[State, Cause | None]:
    stopping = Cause(Reason.STOPPING, f"{len(alive)} of its copies are still ending.")
    if view.ending is not None:
        if alive or view.copies:
            return State.RUNNING, _silent(alive, now) or stopping
        return State.CANCELLED, Cause(Reason.CANCELLED, view.ending[1] or "It was cancelled.")
    if view.hold == "children":
        again = "Submit it again: that completes it."
        return State.PENDING, Cause(Reason.STARTING, "Its submission is not complete.", again)
    if view.wanted == 0:
        return State.SUSPENDED, stopping if alive else Cause(
            Reason.PAUSED, "It is scaled to no copies.", "scale(1) starts it."
        )
    state = State.RUNNING if view.ready else State.PENDING
    if view.ready >= view.wanted and view.updated >= view.wanted and view.observed:
        return state, _silent(alive, now)
    return state, _short(view, alive, staying, now)


def _short(view: ServiceView, alive: Sequence[PodView], staying: Sequence[PodView], now: float) -> Cause:
    """Why fewer copies are ready than wanted: the worst thing there is to say of one."""
    head = f"{view.ready} of {view.wanted} copies are ready"
    silent = _silent(alive, now)
    if silent is not None:
        return Cause(silent.code, f"{head}. {silent.message}", silent.next)
    if view.failure is not None:
        cause = _reasons.refused(view.failure.message)
        return Cause(cause.code, f"{head}. {cause.message}", cause.next)
    told = [unready(p) for p in staying if not p.ready]
    plain = {Reason.STARTING, Reason.QUEUED, Reason.NOT_READY}
    worst = next((c for c in told if c.code not in plain), told[0] if told else None)
    if worst is None:
        return Cause(Reason.STARTING, f"{head}; the others are being made.")
    return Cause(worst.code, f"{head}. {worst.message}", worst.next)


def unready(pod: PodView) -> Cause:
    """Why one copy is not ready."""
    if pod.running:
        again = f" It has been started again {pod.restarts} times." if pod.restarts else ""
        return Cause(
            Reason.NOT_READY,
            f"{pod.name} runs on {pod.node}, but its probes do not call it ready.{again}",
            "Read its log; check the probe's path, port and delay.",
        )
    if pod.waiting == "CrashLoopBackOff":
        code, number = split_exit(pod.last_exit) if pod.last_exit is not None else (None, None)
        how = "it ran out of memory" if pod.last_ended == "OOMKilled" else _reasons.by_exit(code, number).message
        return Cause(
            Reason.CRASH_LOOP,
            f"{pod.name} keeps ending ({pod.restarts} times): {how}",
            "Read the log of the attempt before: logs(attempt=...).",
        )
    if pod.exit_code is not None:
        cause, _, _ = _reasons.ended(pod)
        return cause or Cause(Reason.CRASH_LOOP, f"{pod.name} ended, and is started again.")
    return _reasons.waiting(pod)


def _silent(alive: Sequence[PodView], now: float) -> Cause | None:
    """A copy that should be gone but is not: its node does not answer."""
    for pod in alive:
        due = parse_time(pod.deleting)
        if due is not None and now > due.timestamp() + _SILENT_S:
            return Cause(
                Reason.NODE_UNAVAILABLE,
                f"The node {pod.node} does not answer; its copy {pod.name} may still run there.",
                f"Once {pod.node} is certainly dead: kubectl delete pod {pod.name} --force.",
            )
    return None


def _native(view: ServiceView, cause: Cause | None) -> Native:
    told = view.failure or view.stuck
    word = "Available" if view.ready >= view.wanted > 0 else "Progressing"
    return Native(word, told.reason if told else cause.code.value if cause else "")


def service_copies(pods: Sequence[PodView]) -> list[ReplicaStatus]:
    """The copies of a service, oldest first: numbers hold as long as no copy is replaced."""
    return [_copy(i, pod) for i, pod in enumerate(in_order(pods))]


def in_order(pods: Sequence[PodView]) -> list[PodView]:
    """The pods of a service that are not over nor being ended, oldest first."""
    return sorted((p for p in pods if not p.over and not p.deleting), key=lambda p: (p.created, p.name))


def _copy(number: int, pod: PodView) -> ReplicaStatus:
    return ReplicaStatus(
        replica=number,
        state=State.RUNNING if pod.running else State.PENDING,
        node=pod.node,
        attempt=pod.restarts,
        ready=pod.ready,
        reason=None if pod.ready else unready(pod),
        name=pod.name,
    )
