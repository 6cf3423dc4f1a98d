"""``LocalBackend``: the six calls, and what it can do beyond them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from gpujobs.errors import ConfigError, GpuJobsError
from gpujobs.logfiles import read_log_bytes, read_logs
from gpujobs.reasons import Reason
from gpujobs.refs import Ref
from gpujobs.results import Explanation
from gpujobs.states import State
from gpujobs_local import _changing, _exec, _explain, _machine, _plan, _preflight
from gpujobs_local._check import run_checks
from gpujobs_local._filesystem import network_type
from gpujobs_local._home import Home
from gpujobs_local._looking import Reader, is_open, not_found, one
from gpujobs_local._match import Demand
from gpujobs_local._schedule import ensure_keeper, run_pass, see_to_pass
from gpujobs_local._submit import submit, visible_gpus
from gpujobs_local.options import LocalOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic import BaseModel

    from gpujobs.backend import JobQuery, LogQuery, Runtime, Submission, Submitted, Target
    from gpujobs.results import Capacity, Check, ExecResult, LogLine, ReplicaStatus
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs.states import Status

_log = logging.getLogger(__name__)


class LocalBackend:
    """Runs jobs as supervised processes of this machine. Holds nothing open, so it is safe in threads and forks."""

    name: ClassVar[str] = "local"
    options: ClassVar[type[BaseModel]] = LocalOptions

    def __init__(self, target: Target, runtime: Runtime, /) -> None:
        given = target.options if isinstance(target.options, LocalOptions) else LocalOptions()
        self._target = target
        self._settings = given.settings()
        self._home = Home(runtime.state_dir.absolute() / "local" / target.name, target.name)
        self._reader = Reader(self._home, self._settings)

    def render(self, item: Submission, /) -> str:
        """The plan of the job as JSON.

        Raises:
            UnsupportedError: A field that the local backend cannot honour; the message names it.
        """
        return _plan.text(_plan.plan(item, self._target))

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """Write each down once, and start what can start."""
        try:
            self._refuse_network()
            self._home.store.make()
        except GpuJobsError as e:
            return [e for _ in items]
        results = submit(self._home, self._target, self._settings, items)
        if any(isinstance(r, Ref) for r in results):
            self._bring_on(see_to_pass)
        return results

    def _bring_on(self, how: Callable[[Home], None]) -> None:
        """What is written down stays so, whether or not it can be brought on just now: the next look tries again."""
        try:
            how(self._home)
        except GpuJobsError as e:
            _log.warning("%s", e)

    def _refuse_network(self) -> None:
        kind = network_type(self._home.directory)
        if kind is not None:
            raise ConfigError(
                f"The state directory {self._home.directory} lies on a network file system ({kind}), on which neither "
                "records nor locks of local jobs are safe.",
                next_step="Name a directory of this machine: GPUJOBS_STATE_DIR=/var/tmp/$USER/gpujobs.",
            )

    def preflight(self, specs: Sequence[GpuJob | GpuService], /) -> list[GpuJobsError | None]:
        """What this machine could never run, and what it could.

        Raises:
            ConfigError: The lock of a GPU is a symbolic link, or cannot be opened.
        """
        wants_gpus = any(s.gpus for s in specs)
        if wants_gpus and self._settings.simulated is None:
            _machine.check_locks(self._home, self._settings)
        visible = visible_gpus(self._home, self._settings) if wants_gpus else None
        return [self._preflight(spec, visible) for spec in specs]

    def _preflight(self, spec: GpuJob | GpuService, visible: tuple[str, ...] | None) -> GpuJobsError | None:
        if spec.kind == "service":
            return None  # submit refuses it by name
        demand = _plan.demand(spec.gpus, self._target.gpu_types)
        machine = _machine.machine(self._home, self._settings, gpus=demand.count > 0)
        seen = Demand.from_dict({**demand.to_dict(), "visible": visible})
        return _preflight.check(spec, seen, machine, self._target)

    def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
        """The status of each; a job whose supervisor was killed is mended on the way."""
        statuses = self._reader.statuses(refs)
        open_ = [s.ref for s in statuses if is_open(s)]
        if not open_:
            return statuses
        if self._reader.dead(open_):
            self._bring_on(run_pass)
            return self._reader.statuses(refs)
        if any(s.state is State.PENDING for s in statuses):
            self._bring_on(ensure_keeper)
        return statuses

    def jobs(self, query: JobQuery, /) -> list[Status]:
        """The jobs of this target, newest first."""
        return self._reader.jobs(query, self._ref)

    def _ref(self, name: str) -> Ref:
        return Ref(self.name, self._target.name, name)

    def logs(self, ref: Ref, query: LogQuery, /) -> Iterator[LogLine]:
        """The lines of the log files.

        Raises:
            NotFoundError: There is no such job, or it has no such replica.
        """
        self._copies(ref, query)
        return read_logs(lambda: self._reader.log_files(ref), query)

    def log_bytes(self, ref: Ref, query: LogQuery, /) -> Iterator[bytes | LogLine]:
        """The bytes of the log files.

        Raises:
            NotFoundError: There is no such job, or it has no such replica.
        """
        alone = self._copies(ref, query) == 1
        return read_log_bytes(lambda: self._reader.log_files(ref), query, alone=alone)

    def _copies(self, ref: Ref, query: LogQuery) -> int:
        """Of how many replicas the log is asked for."""
        if not self._home.store.exists():
            raise not_found(ref)
        return self._reader.copies(ref, query.replica)

    def cancel(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """End them and keep their records."""
        errors = _changing.cancel(self._home, refs)
        if self._home.store.exists():
            self._bring_on(see_to_pass)
        return errors

    def delete(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """Forget jobs that have ended."""
        return _changing.delete(self._home, refs)

    def close(self) -> None:
        """Nothing is held open."""

    def wait_change(self, refs: Sequence[Ref], timeout: float, /) -> bool:
        """Watch the records."""
        return self._reader.wait_change(refs, timeout)

    def replicas(self, ref: Ref, /) -> list[ReplicaStatus]:
        """One entry per element."""
        if not self._home.store.exists():
            raise not_found(ref)
        return self._reader.replicas(ref)

    def exec(self, ref: Ref, argv: Sequence[str], /, *, replica: int = 0, stdin: bytes | None = None) -> ExecResult:
        """Run a command with the job's environment, directory and GPUs."""
        return _exec.run(self._home, self._known(ref), argv, replica=replica, stdin=stdin)

    def exec_interactive(self, ref: Ref, argv: Sequence[str], /, *, replica: int = 0) -> int:
        """The same on this terminal."""
        return _exec.run_interactive(self._home, self._known(ref), argv, replica=replica)

    def _known(self, ref: Ref) -> Ref:
        if not self._home.store.exists():
            raise not_found(ref)
        return ref

    def explain(self, status: Status, /) -> Explanation:
        """Numbers: who holds which GPU, how many jobs are ahead."""
        if status.state is not State.PENDING:
            return Explanation.of(status)
        with self._home.store.read() as db:
            job = one(db, status.ref).job
            ahead = _explain.ahead(db, job)
            details = [f"{ahead} waiting job{'s' * (ahead != 1)} come{'s' * (ahead == 1)} before it."]
            if status.reason is not None and status.reason.code is Reason.INSUFFICIENT_GPU:
                details += _explain.holders(db, self._home, self._settings)
        return Explanation.of(status, details)

    def capacity(self) -> Capacity:
        """The GPUs of this machine, one entry per kind."""
        return _explain.capacity(self._home, self._settings)

    def check(self) -> list[Check]:
        """Try everything that local jobs stand on."""
        self._refuse_network()
        return run_checks(self, self._home, self._settings)
