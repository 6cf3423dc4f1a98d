"""A backend that keeps everything in memory: what a job does is a function of yours."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gpujobs.backend import JobQuery, LogQuery, Runtime, Submission, Submitted, Target, split_exit
from gpujobs.errors import ConflictError, GpuJobsError, NotFoundError, PreflightError, RejectedError, UnsupportedError
from gpujobs.options import Options
from gpujobs.reasons import Cause, Reason
from gpujobs.refs import Ref
from gpujobs.results import Capacity, GpuCapacity, LogLine
from gpujobs.states import Native, Replicas, State, Status, from_epoch
from gpujobs.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic import BaseModel

    from gpujobs.backend import Clock
    from gpujobs.specs import GpuJob, GpuService

__all__ = ["MemoryBackend", "MemoryOptions", "Outcome"]


class MemoryOptions(Options):
    """The keys of a memory target: how many GPUs it pretends to have."""

    gpus: int = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job does: write ``output``, run for ``seconds``, end with ``exit_code`` (129..192: a signal)."""

    exit_code: int = 0
    output: bytes = b""
    seconds: float = 0.0


@dataclass(slots=True)
class _Record:
    item: Submission
    ref: Ref
    outcome: Outcome
    submitted: float
    started: float | None = None
    ended: float | None = None
    state: State = State.PENDING
    cause: Cause | None = None


def _at_once(_: Submission) -> Outcome:
    return Outcome()


@dataclass(slots=True)
class _Store:
    lock: threading.RLock = field(default_factory=threading.RLock)
    records: dict[str, _Record] = field(default_factory=dict[str, _Record])
    keys: dict[str, str] = field(default_factory=dict[str, str])
    next_id: int = 1


class MemoryBackend:
    """Jobs that start when GPUs are free and end when the clock says so, first come first served."""

    name: ClassVar[str] = "memory"
    options: ClassVar[type[BaseModel]] = MemoryOptions

    def __init__(self, target: Target, runtime: Runtime) -> None:
        self._target = target
        self.clock: Clock = runtime.clock
        self._gpus = target.options.gpus if isinstance(target.options, MemoryOptions) else MemoryOptions().gpus
        self.outcome: Callable[[Submission], Outcome] = _at_once
        self._store = _Store()

    @classmethod
    def create(
        cls,
        *,
        target: str = "memory",
        gpus: int = 4,
        clock: Clock | None = None,
        outcome: Callable[[Submission], Outcome] | None = None,
    ) -> MemoryBackend:
        """A backend to hand to ``Client(backends={target: ...})``, on a ManualClock unless another is given."""
        options = MemoryOptions(gpus=gpus)
        backend = cls(Target(target, cls.name, options), Runtime(state_dir=Path(), clock=clock or ManualClock()))
        if outcome is not None:
            backend.outcome = outcome
        return backend

    def render(self, item: Submission, /) -> str:
        """The workload as JSON; secrets by name only."""
        self._refuse(item.spec)
        spec = item.spec.model_dump(mode="json", exclude_defaults=True)
        for secret in item.spec.secrets:
            spec.setdefault("env", {})[secret.name] = f"<secret {secret.name}>"
        return json.dumps({"key": item.key, "kind": item.spec.kind, **spec}, indent=2) + "\n"

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """Take each once."""
        return [self._submit_one(item) for item in items]

    def preflight(self, specs: Sequence[GpuJob | GpuService], /) -> list[GpuJobsError | None]:
        """Refuse what asks for more GPUs than there are."""
        return [
            PreflightError(
                f"gpus: {spec.gpus.count} are asked for, but this target has {self._gpus}.",
                next_step=f"Ask for at most {self._gpus}.",
            )
            if spec.gpus is not None and spec.gpus.count > self._gpus
            else None
            for spec in specs
        ]

    def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
        """The status of each."""
        with self._store.lock:
            self._advance()
            return [self._status(ref) for ref in refs]

    def jobs(self, query: JobQuery, /) -> list[Status]:
        """Newest first."""
        with self._store.lock:
            self._advance()
            found = [self._status(record.ref) for record in reversed(self._store.records.values())]
        return [s for s in found if query.matches(s)][: query.limit]

    def logs(self, ref: Ref, query: LogQuery, /) -> Iterator[LogLine]:
        """All output appears when the job starts."""
        record = self._find(ref)
        while query.follow and not query.ended() and not query.stop():
            self.clock.sleep(0.1)
        self.statuses([ref])
        lines = record.outcome.output.splitlines(keepends=True) if record.started is not None else []
        kept = lines if query.tail is None else lines[len(lines) - min(query.tail, len(lines)) :]
        yield from (LogLine.of(raw) for raw in kept if not query.replica)

    def cancel(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """End each at once."""
        return [self._change(ref, self._cancel_one) for ref in refs]

    def delete(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """Forget each that has ended."""
        return [self._change(ref, self._delete_one) for ref in refs]

    def capacity(self) -> Capacity:
        """One node of pretended GPUs."""
        with self._store.lock:
            self._advance()
            free = self._gpus - self._held()
        return Capacity((GpuCapacity("memory", "pretended", self._gpus, free),))

    def close(self) -> None:
        """Nothing to let go of."""

    def _refuse(self, spec: GpuJob | GpuService) -> None:
        fields = [f for f in ("array", "after", "image") if getattr(spec, f, None)] + ["replicas"] * (
            spec.kind == "service"
        )
        if fields:
            raise UnsupportedError(f"{fields[0]}: the memory backend does not honour this field.")

    def _submit_one(self, item: Submission) -> Submitted:
        with self._store.lock:
            known = self._store.keys.get(item.key)
            if known is not None:
                record = self._store.records[known]
                if record.item.spec_hash == item.spec_hash:
                    return record.ref
                return ConflictError(
                    f"The key {item.key!r} belongs to {record.ref}, which is another workload.",
                    next_step="Give another key, or delete that one first.",
                )
            try:
                self._refuse(item.spec)
                for secret in item.spec.secrets:
                    secret.reveal()
            except GpuJobsError as e:
                return e
            ref = Ref(self.name, self._target.name, str(self._store.next_id))
            self._store.next_id += 1
            self._store.records[ref.id] = _Record(item, ref, self.outcome(item), self.clock.time())
            self._store.keys[item.key] = ref.id
            self._advance()
            return ref

    def _advance(self) -> None:
        """Bring every record to where the clock is."""
        now = self.clock.time()
        for record in self._store.records.values():
            if record.state is State.RUNNING and record.started is not None:
                self._end(record, record.started + record.outcome.seconds, now)
        for record in self._store.records.values():
            wanted = record.item.spec.gpus.count if record.item.spec.gpus else 0
            if record.state is State.PENDING and wanted <= self._gpus - self._held():
                record.started, record.state = now, State.RUNNING
                self._end(record, now + record.outcome.seconds, now)

    def _end(self, record: _Record, end: float, now: float) -> None:
        limit = record.item.spec.time_limit
        if limit is not None and record.started is not None and end > record.started + limit.total_seconds():
            if now >= record.started + limit.total_seconds():
                record.ended, record.state = record.started + limit.total_seconds(), State.FAILED
                record.cause = Cause(Reason.TIMEOUT, f"It ran into its time limit of {limit}.", "Give it more time.")
        elif now >= end:
            code, signal = split_exit(record.outcome.exit_code)
            record.ended = end
            record.state = State.SUCCEEDED if code == 0 else State.FAILED
            if signal is not None:
                record.cause = Cause(Reason.SIGNAL, f"A signal ended it: {signal}.")
            elif code:
                record.cause = Cause(Reason.EXIT_CODE, f"Its command ended with exit code {code}.", "Read its log.")

    def _held(self) -> int:
        running = (r.item.spec.gpus for r in self._store.records.values() if r.state is State.RUNNING)
        return sum(gpus.count for gpus in running if gpus)

    def _status(self, ref: Ref) -> Status:
        record = self._store.records.get(ref.id)
        if record is None:
            return Status(ref, State.LOST, reason=Cause(Reason.LOST, f"There is no {ref}.", "Look with ps --all."))
        cause = record.cause
        if record.state is State.PENDING:
            cause = Cause(Reason.INSUFFICIENT_GPU, f"It waits for GPUs; {self._held()} of {self._gpus} are in use.")
        ended_itself = record.ended is not None and record.state is not State.CANCELLED
        timed_out = cause is not None and cause.code is Reason.TIMEOUT
        code, signal = split_exit(record.outcome.exit_code) if ended_itself and not timed_out else (None, None)
        done = record.state is State.SUCCEEDED
        return Status(
            ref=ref,
            state=record.state,
            name=record.item.spec.name or "",
            reason=cause,
            exit_code=code,
            signal=signal,
            replicas=Replicas(
                running=int(record.state is State.RUNNING),
                succeeded=int(done),
                failed=int(record.state.final and not done),
            ),
            nodes=("memory",) if record.started is not None else (),
            submitted_at=from_epoch(record.submitted),
            started_at=from_epoch(record.started),
            ended_at=from_epoch(record.ended),
            native=Native(record.state.value.lower()),
            labels=dict(record.item.spec.labels),
        )

    def _find(self, ref: Ref) -> _Record:
        record = self._store.records.get(ref.id)
        if record is None:
            raise NotFoundError(f"There is no {ref}.", next_step="`gpujobs ps --all` shows what there is.")
        return record

    def _change(self, ref: Ref, change: Callable[[_Record], GpuJobsError | None]) -> GpuJobsError | None:
        with self._store.lock:
            self._advance()
            try:
                return change(self._find(ref))
            except NotFoundError as e:
                return e

    def _cancel_one(self, record: _Record) -> None:
        if not record.state.final:
            record.state, record.ended = State.CANCELLED, self.clock.time()
            record.cause = Cause(Reason.CANCELLED, "It was cancelled.")

    def _delete_one(self, record: _Record) -> GpuJobsError | None:
        if not record.state.final:
            return RejectedError(f"{record.ref} still runs.", next_step="Cancel it first.")
        del self._store.records[record.ref.id], self._store.keys[record.item.key]
        return None
