"""``InlineBackend``: the six calls of the contract, and ``delete``."""

from __future__ import annotations

import os
import shlex
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gpujobs.errors import ConflictError, GpuJobsError, NotFoundError, RejectedError, UnsupportedError
from gpujobs.logfiles import LogFile, read_logs
from gpujobs.options import Options, Text
from gpujobs.refs import Ref
from gpujobs_inline._process import Process
from gpujobs_inline._states import Child, to_status, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import BaseModel

    from gpujobs.backend import JobQuery, LogQuery, Runtime, Submission, Submitted, Target
    from gpujobs.results import LogLine
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs.states import Status

HONOURED = frozenset({"kind", "name", "command", "args", "env", "labels", "secrets", "time_limit", "grace"})


class InlineOptions(Options):
    """The keys of ``[targets.NAME]`` besides ``backend``: the search path of every job."""

    path: Text = os.defpath


class InlineBackend:
    """Every job is a child of this process."""

    name: ClassVar[str] = "inline"
    options: ClassVar[type[BaseModel]] = InlineOptions

    def __init__(self, target: Target, runtime: Runtime, /) -> None:
        self._target, self._clock = target, runtime.clock
        self._logs = Path(tempfile.mkdtemp(prefix="gpujobs-inline-"))
        self._lock = threading.RLock()
        self._jobs: dict[str, tuple[Submission, float, Process]] = {}
        self._keys: dict[str, str] = {}
        self._next = 1

    def render(self, item: Submission, /) -> str:
        """The command line."""
        _refuse(item.spec)
        words = [f"{k}={v}" for k, v in sorted(item.spec.env.items())]
        words += [f"{secret.name}=<secret {secret.name}>" for secret in item.spec.secrets]
        return shlex.join(["env", "-i", *words, *item.spec.command, *item.spec.args]) + "\n"

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """One entry per item: one refused loses none of the others."""
        results: list[Submitted] = []
        for item in items:
            try:
                with self._lock:
                    results.append(self._submit(item))
            except GpuJobsError as e:
                results.append(e)
        return results

    def _submit(self, item: Submission) -> Ref:
        _refuse(item.spec)
        known = self._keys.get(item.key)
        if known is not None:
            if self._jobs[known][0].spec_hash != item.spec_hash:
                raise ConflictError(f"The key {item.key!r} belongs to {self._ref(known)}, which is another workload.")
            return self._ref(known)
        ident, self._next = str(self._next), self._next + 1
        self._jobs[ident] = (item, self._clock.time(), self._start(item, self._ref(ident)))
        self._keys[item.key] = ident
        return self._ref(ident)

    def _start(self, item: Submission, ref: Ref) -> Process:
        spec = item.spec
        secrets = {secret.name: secret.reveal() for secret in spec.secrets}
        own = {"PATH": self._target.options.path, "GPUJOBS_REF": str(ref), "GPUJOBS_KEY": item.key}
        try:
            return Process(
                [*spec.command, *spec.args],
                env={**own, **spec.env, **secrets},
                log=self._log(ref),
                clock=self._clock,
                limit=spec.time_limit.total_seconds() if spec.time_limit else None,
                grace=spec.grace.total_seconds(),
            )
        except OSError as e:
            raise RejectedError(f"{spec.command[0]} cannot be started: {e.strerror}.") from e

    def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
        """In order; one that is not known is LOST."""
        with self._lock:
            return [to_status(self._child(r)) if r.id in self._jobs else unknown(r) for r in refs]

    def jobs(self, query: JobQuery, /) -> list[Status]:
        """Newest first."""
        with self._lock:
            found = [to_status(self._child(self._ref(ident))) for ident in reversed(self._jobs)]
        return [status for status in found if query.matches(status)][: query.limit]

    def logs(self, ref: Ref, query: LogQuery, /) -> Iterator[LogLine]:
        """``gpujobs.logfiles`` reads and follows files; only where they lie is to be said."""
        self._find(ref)
        return read_logs(lambda: [LogFile(self._log(ref))], query, sleep=self._clock.sleep)

    def cancel(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """Idempotent: one that has ended stays as it ended."""
        errors: list[GpuJobsError | None] = []
        for ref in refs:
            try:
                self._find(ref).end("cancel")
                errors.append(None)
            except NotFoundError as e:
                errors.append(e)
        return errors

    def delete(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """Having this method is what says that records can be deleted (``SupportsDelete``)."""
        return [self._delete(ref) for ref in refs]

    def _delete(self, ref: Ref) -> GpuJobsError | None:
        with self._lock:
            if ref.id not in self._jobs:
                return NotFoundError(f"There is no {ref}.")
            item, _, process = self._jobs[ref.id]
            if process.code is None:
                return RejectedError(f"{ref} still runs.", next_step="Cancel it first.")
            del self._jobs[ref.id], self._keys[item.key]
        self._log(ref).unlink(missing_ok=True)
        return None

    def close(self) -> None:
        """Nothing is connected. Jobs go on."""

    def _find(self, ref: Ref) -> Process:
        with self._lock:
            if ref.id not in self._jobs:
                raise NotFoundError(f"There is no {ref}.", next_step="`gpujobs ps --all` shows what there is.")
            return self._jobs[ref.id][2]

    def _child(self, ref: Ref) -> Child:
        item, started, process = self._jobs[ref.id]
        code = process.code  # read first: it is written last
        return Child(ref, item, started, process.ended, code, process.ended_by)

    def _ref(self, ident: str) -> Ref:
        return Ref(self.name, self._target.name, ident)

    def _log(self, ref: Ref) -> Path:
        return self._logs / f"{ref.id}.log"


def _refuse(spec: GpuJob | GpuService) -> None:
    """A field that is not honoured is refused by its name, never dropped in silence."""
    for field in sorted(spec.model_fields_set - HONOURED):
        if getattr(spec, field) != type(spec).model_fields[field].get_default(call_default_factory=True):
            raise UnsupportedError(f"{field}: the inline backend does not honour this field.")
    if spec.kind == "service":
        raise UnsupportedError("kind: the inline backend runs jobs, not services.")
