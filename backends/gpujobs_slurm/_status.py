"""A row of Slurm, or a settled end, as a Status."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from gpujobs.reasons import Cause, Reason
from gpujobs.results import ReplicaStatus
from gpujobs.states import Native, Replicas, State, Status, from_epoch
from gpujobs_slurm._ends import End, Traces, end_by_slurm, told
from gpujobs_slurm._names import is_ours, read_comment
from gpujobs_slurm._reasons import waiting
from gpujobs_slurm._record import Record, Settled
from gpujobs_slurm._rows import Row, expand
from gpujobs_slurm._states import meaning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.refs import Ref

_COUNTS = {
    State.RUNNING: Replicas(running=1),
    State.SUCCEEDED: Replicas(succeeded=1),
    State.FAILED: Replicas(failed=1),
    State.CANCELLED: Replicas(failed=1),
    State.LOST: Replicas(failed=1),
}
_PENDING = Replicas()
_time = lru_cache(maxsize=4096)(from_epoch)
_native = lru_cache(maxsize=1024)(Native)


def settle(row: Row, record: Record | None, index: int | None) -> Settled | None:
    """The end that a row tells; None while it is none."""
    if not meaning(row.state).state.final:
        return None
    traces = record.traces(index) if record else Traces()
    end = end_by_slurm(row, traces)
    if record is not None and record.by_deadline(end, row.started, row.ended):
        end = End(State.FAILED, told(Reason.DEADLINE))
    return Settled(end, row.restarts, expand(row.nodes), row.started, row.ended, (row.state, row.reason))


def from_settled(
    ref: Ref, settled: Settled, record: Record | None, index: int | None, row: Row | None = None
) -> Status:
    """The status of something that has ended."""
    name, labels = described(record, index, row)
    created = int(record.claim["created"]) if record else row.submitted if row else None
    return Status(
        ref=ref,
        state=settled.end.state,
        name=name,
        reason=settled.end.cause,
        exit_code=settled.end.exit_code,
        signal=settled.end.signal,
        attempt=settled.attempt,
        replicas=_counts(settled.end.state, record),
        nodes=settled.nodes,
        submitted_at=_time(created),
        started_at=_time(settled.started),
        ended_at=_time(settled.ended),
        native=_native(*settled.native),
        labels=labels,
    )


def from_row(ref: Ref, row: Row, record: Record | None, index: int | None) -> Status:
    """The status of something that has not ended."""
    means = meaning(row.state)
    name, labels = described(record, index, row)
    running = means.state is State.RUNNING
    return Status(
        ref=ref,
        state=means.state,
        name=name,
        reason=_cause(row, means.state, means.reason),
        attempt=row.restarts,
        replicas=_counts(means.state, record),
        nodes=expand(row.nodes) if means.state is not State.PENDING else (),
        submitted_at=_time(row.submitted),
        started_at=_time(row.started) if means.state is not State.PENDING else None,
        native=_native(row.state, row.reason),
        labels=labels,
        expected_end=_time(row.ended) if running else None,
    )


def _cause(row: Row, state: State, implied: Reason | None) -> Cause | None:
    if state is State.PENDING:
        return _why_pending(row, implied)
    if state is State.UNKNOWN:
        return Cause(Reason.UNKNOWN, f"Slurm gives the state {row.state!r}, which is new to gpujobs.")
    if implied is Reason.STOPPING:
        return Cause(Reason.STOPPING, "It is ending.")
    return Cause(implied, "It is suspended.") if implied is Reason.PAUSED else None


def _why_pending(row: Row, implied: Reason | None) -> Cause:
    cause = waiting(row.reason)
    if implied is Reason.HELD and cause.code is not Reason.HELD:
        return Cause(Reason.HELD, "It was started again and is held.", "Release it with `scontrol release`.")
    if row.restarts and cause.code is Reason.BEGIN_TIME:
        at = from_epoch(row.started)
        when = f" at {at:%H:%M:%S} UTC" if at else ""
        return Cause(Reason.REQUEUED, f"Attempt {row.restarts - 1} is over; Slurm starts it again{when}.")
    if cause.code is Reason.INSUFFICIENT_RESOURCES:
        gres = (read_comment(row.comment) or {}).get("gres")
        if gres:
            return Cause(Reason.INSUFFICIENT_GPU, f"It waits for {gres} on a node with room for it.", cause.next)
    if row.state == "CONFIGURING":
        return Cause(Reason.STARTING, "Its nodes are being prepared.")
    return cause


def _counts(state: State, record: Record | None) -> Replicas:
    nodes = int(record.claim.get("nodes") or 1) if record else 1
    one = _COUNTS.get(state, _PENDING)
    if nodes == 1:
        return one
    return Replicas(nodes, 0, one.running * nodes, one.succeeded * nodes, one.failed * nodes)


def described(record: Record | None, index: int | None, row: Row | None) -> tuple[str, dict[str, str]]:
    """(name, labels): from the record, else the comment, else what Slurm calls it."""
    if record is not None:
        name, labels = record.described(index)
        return name, dict(labels)
    if row is None:
        return "", {}
    note = read_comment(row.comment)
    if note and "name" in note:
        return str(note["name"]), {str(k): str(v) for k, v in dict(note.get("labels") or {}).items()}
    return (row.name.rpartition(".")[0] if is_ours(row.name) else row.name), {}


def lost(ref: Ref, *, deleted: bool = False) -> Status:
    """Slurm answered, and neither it nor a record knows of it."""
    if deleted:
        return Status(ref, State.LOST, reason=Cause(Reason.DELETED, f"The record of {ref} was deleted."))
    message = f"There is no {ref}: Slurm does not know it, and no record of it is kept."
    return Status(ref, State.LOST, reason=told(Reason.LOST, message, "`gpujobs ps --all` shows what there is."))


def unreachable(ref: Ref, cause: Cause, record: Record | None = None, index: int | None = None) -> Status:
    """Slurm could not be asked."""
    name, labels = described(record, index, None)
    created = from_epoch(record.claim["created"]) if record else None
    return Status(ref, State.UNKNOWN, name=name, reason=cause, submitted_at=created, labels=labels)


def array_of(ref: Ref, parts: Sequence[Status], record: Record | None) -> Status:
    """The sum of an array's elements."""
    name, labels = described(record, None, None)
    states = [p.state for p in parts]
    state = _sum_state(states)
    times = [p.started_at for p in parts if p.started_at]
    ends = [p.ended_at for p in parts if p.ended_at]
    worst = next((p for p in parts if p.state is state and p.reason), None)
    cause = worst.reason if worst else None
    if cause and state is State.FAILED:
        bad = sum(s is not State.SUCCEEDED for s in states)
        cause = Cause(cause.code, f"{bad} of {len(parts)} elements did not succeed. {cause.message}", cause.next)
    return Status(
        ref=ref,
        state=state,
        name=name or (parts[0].name if parts else ""),
        reason=cause,
        exit_code=(0 if state is State.SUCCEEDED else worst.exit_code if worst and state is State.FAILED else None),
        signal=worst.signal if worst and state is State.FAILED else None,
        attempt=max((p.attempt for p in parts), default=0),
        replicas=_sum_counts([p.replicas for p in parts]),
        nodes=tuple(dict.fromkeys(n for p in parts for n in p.nodes)),
        submitted_at=min((p.submitted_at for p in parts if p.submitted_at), default=None),
        started_at=min(times, default=None),
        ended_at=max(ends, default=None) if state.final else None,
        native=Native("+".join(sorted({p.native.state for p in parts if p.native.state}))),
        labels=labels or (parts[0].labels if parts else {}),
        expected_end=max((p.expected_end for p in parts if p.expected_end), default=None),
    )


def _sum_counts(counts: Sequence[Replicas]) -> Replicas:
    return Replicas(
        sum(c.wanted for c in counts),
        0,
        sum(c.running for c in counts),
        sum(c.succeeded for c in counts),
        sum(c.failed for c in counts),
    )


def copies(status: Status, record: Record | None, element: int) -> list[ReplicaStatus]:
    """The copies behind the status of one job or element: one per node."""
    nodes = int(record.claim.get("nodes") or 1) if record else max(1, len(status.nodes))
    return [
        ReplicaStatus(
            replica=element * nodes + rank,
            state=status.state,
            node=status.nodes[rank] if rank < len(status.nodes) else "",
            attempt=status.attempt,
            exit_code=status.exit_code,
            signal=status.signal,
            reason=status.reason,
            name=status.ref.id,
        )
        for rank in range(nodes)
    ]


def _sum_state(states: Sequence[State]) -> State:
    kinds = set(states)
    if State.UNKNOWN in kinds:
        return State.UNKNOWN
    if all(s.final for s in kinds):
        for state in (State.FAILED, State.LOST, State.CANCELLED):
            if state in kinds:
                return state
        return State.SUCCEEDED
    started = State.RUNNING in kinds or any(s.final for s in kinds)
    if started:
        return State.RUNNING
    return State.SUSPENDED if State.SUSPENDED in kinds else State.PENDING
