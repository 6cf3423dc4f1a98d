"""``SlurmBackend``: the contract of ``gpujobs.backend``, put together from the parts of this package."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gpujobs.errors import UnavailableError
from gpujobs_slurm._answers import SBATCH
from gpujobs_slurm._cancel import Canceller
from gpujobs_slurm._capacity import capacity_of
from gpujobs_slurm._check import check_target
from gpujobs_slurm._exec import Executor
from gpujobs_slurm._explain import Explainer
from gpujobs_slurm._import import read_sbatch
from gpujobs_slurm._list import Lister
from gpujobs_slurm._logs import LogReader
from gpujobs_slurm._looking import Looker
from gpujobs_slurm._options import SlurmOptions
from gpujobs_slurm._orders import root_of
from gpujobs_slurm._preflight import preflight_error
from gpujobs_slurm._probe import Probe
from gpujobs_slurm._script import render_script
from gpujobs_slurm._sending import Sender
from gpujobs_slurm._shapes import Shapes
from gpujobs_slurm._transport import CliTransport, Transport
from gpujobs_slurm._watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from pydantic import BaseModel

    from gpujobs.backend import JobQuery, LogQuery, Runtime, Submission, Submitted, Target
    from gpujobs.errors import GpuJobsError
    from gpujobs.refs import Ref
    from gpujobs.results import Capacity, Check, ExecResult, Explanation, LogLine, ReplicaStatus
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs.states import Status
    from gpujobs_slurm._facts import Facts
    from gpujobs_slurm._probe import Layout

_PREFLIGHT_S = 5.0


class SlurmBackend:
    """Jobs on a Slurm cluster, reached by its own commands here or on a login node."""

    name: ClassVar[str] = "slurm"
    options: ClassVar[type[BaseModel]] = SlurmOptions

    def __init__(self, target: Target, runtime: Runtime, /) -> None:
        options = target.options if isinstance(target.options, SlurmOptions) else SlurmOptions()
        self._target = target
        self._clock = runtime.clock
        directory = runtime.state_dir / "slurm" / target.name
        self._transport: Transport = _open(options, directory)
        self._probe = Probe(self._transport, options, directory, runtime.clock)
        self._looker = Looker(self._transport, self._probe.facts, self.root, runtime.clock, options.timeout)
        self._sender = Sender(
            self._transport,
            target,
            self._probe.facts,
            self._directory,
            statuses=self._looker.statuses,
            clock=runtime.clock,
        )
        self._logs = LogReader(self._transport, self.root, runtime.clock)
        self._canceller = Canceller(self._transport, self.root, self._looker.statuses, options.timeout)
        self._watcher = Watcher(self._transport, self.root, runtime.clock)

    def root(self) -> str:
        """Where the job directories of this target lie."""
        return root_of(self._target, self._probe.facts())

    def _directory(self) -> str:
        """Where a job starts that does not say: here, as with sbatch; on another machine, at home."""
        return self._probe.facts().home if self._transport.remote else str(Path.cwd())

    def render(self, item: Submission, /) -> str:
        """The sbatch script, byte for byte."""
        return render_script(self._sender.orders().single(item, self._sender.dependency(item)))

    def head_start(self) -> AbstractContextManager[object]:
        """Start sbatch, which takes longer than all that comes before it has its script, and so goes on beside that."""
        return self._transport.ahead(SBATCH)

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """Send all; those that ask for the same become one array."""
        return self._sender.submit(items)

    def preflight(self, specs: Sequence[GpuJob | GpuService], /) -> list[GpuJobsError | None]:
        """Refuse what no node of the queue could ever run; nobody is refused because Slurm cannot be asked."""
        try:
            facts = self._probe.facts()
            layout = self._probe.layout(timeout=_PREFLIGHT_S, fresh_s=60.0)
        except UnavailableError:
            return [None] * len(specs)
        shapes = Shapes()
        found: dict[int, GpuJobsError | None] = {}
        return [self._preflight(spec, facts, layout, shapes, found) for spec in specs]

    def _preflight(
        self,
        spec: GpuJob | GpuService,
        facts: Facts,
        layout: Layout,
        shapes: Shapes,
        found: dict[int, GpuJobsError | None],
    ) -> GpuJobsError | None:
        """What asks for the same has the same answer, but for the files it brings."""
        shape = None if spec.files else shapes.of(spec)
        if shape is None:
            return preflight_error(spec, facts, layout, self._target.gpu_types)
        if shape not in found:
            found[shape] = preflight_error(spec, facts, layout, self._target.gpu_types)
        error = found[shape]
        return error and copy(error)

    def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
        """One ``squeue`` for all."""
        return self._looker.statuses(refs)

    def jobs(self, query: JobQuery, /) -> list[Status]:
        """Newest first."""
        return Lister(self._transport, self.root, self._looker, self._target).jobs(query)

    def logs(self, ref: Ref, query: LogQuery, /) -> Iterator[LogLine]:
        """From the files of the job directory."""
        return self._logs.read(ref, query)

    def log_bytes(self, ref: Ref, query: LogQuery, /) -> Iterator[bytes | LogLine]:
        """From the same files."""
        return self._logs.read_bytes(ref, query)

    def cancel(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """One ``scancel`` for all."""
        return self._canceller.cancel(refs)

    def delete(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """Remove job directories of jobs that have ended."""
        return self._canceller.delete(refs)

    def wait_change(self, refs: Sequence[Ref], timeout: float, /) -> bool:
        """Watch what the jobs leave; Slurm is asked only when one of them did."""
        return self._watcher.wait(refs, timeout)

    def replicas(self, ref: Ref, /) -> list[ReplicaStatus]:
        """One per element and node."""
        return self._looker.replicas(ref)

    def exec(self, ref: Ref, argv: Sequence[str], /, *, replica: int = 0, stdin: bytes | None = None) -> ExecResult:
        """``srun --overlap`` inside the job's allocation."""
        return self._executor().run(ref, argv, replica, stdin)

    def exec_interactive(self, ref: Ref, argv: Sequence[str], /, *, replica: int = 0) -> int:
        """The same with a terminal."""
        return self._executor().interactive(ref, argv, replica)

    def _executor(self) -> Executor:
        return Executor(self._transport, self._looker)

    def explain(self, status: Status, /) -> Explanation:
        """With numbers from the queue and the nodes."""
        return Explainer(self._transport, self._probe).explain(status)

    def capacity(self) -> Capacity:
        """All GPUs by node and type."""
        return capacity_of(self._probe.layout())

    def check(self) -> list[Check]:
        """From the connection to a tiny job."""
        return check_target(self, self._target, self._transport, self._probe)

    def login(self) -> None:
        """Open the connection to the login node on this terminal."""
        self._transport.login()

    @classmethod
    def read_native(cls, text: str, /, *, path: str) -> tuple[GpuJob | GpuService, tuple[str, ...]]:
        """An sbatch script as a job."""
        return read_sbatch(text, path)

    def close(self) -> None:
        """Let go of the connection."""
        self._transport.close()


def _open(options: SlurmOptions, directory: Path) -> Transport:
    if options.transport == "ssh":
        from gpujobs_slurm._ssh import SshTransport  # noqa: PLC0415  # only ssh targets need it

        return SshTransport(options, directory)
    return CliTransport()
