"""What a backend may be able to do beyond the six calls, one small protocol each, checked with ``isinstance``.

Import them from ``gpujobs.backend``, which is the whole contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from gpujobs.backend import LogQuery, Submission
    from gpujobs.errors import GpuJobsError
    from gpujobs.refs import Ref
    from gpujobs.results import Capacity, Check, Event, ExecResult, Explanation, LogLine, ReplicaStatus
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs.states import Status

__all__ = [
    "SupportsCapacity",
    "SupportsCheck",
    "SupportsDelete",
    "SupportsEvents",
    "SupportsExec",
    "SupportsExplain",
    "SupportsForward",
    "SupportsHeadStart",
    "SupportsImport",
    "SupportsLogBytes",
    "SupportsLogin",
    "SupportsPreflight",
    "SupportsRbac",
    "SupportsReplicas",
    "SupportsScale",
    "SupportsWatch",
]


@runtime_checkable
class SupportsPreflight(Protocol):
    """Can tell, without sending, that the target could never run something."""

    def preflight(self, specs: Sequence[GpuJob | GpuService], /) -> list[GpuJobsError | None]:
        """One entry per workload: None, or a PreflightError that names what would be possible."""
        ...


@runtime_checkable
class SupportsHeadStart(Protocol):
    """Can begin with what takes the system long before it is known what is to be submitted."""

    def head_start(self) -> AbstractContextManager[object]:
        """A context in which ``submit`` is about to be called once; nothing is sent by opening it, or by leaving it."""
        ...


@runtime_checkable
class SupportsWatch(Protocol):
    """Can wait for a change more cheaply than by asking again."""

    def wait_change(self, refs: Sequence[Ref], timeout: float, /) -> bool:
        """Block until something about one of them may have changed (True) or ``timeout`` seconds passed (False).

        A timeout of 0 only looks. A false alarm is harmless; a missed change is noticed by the polling behind it.
        """
        ...


@runtime_checkable
class SupportsExplain(Protocol):
    """Knows more about a wait or a failure than the status says: numbers."""

    def explain(self, status: Status, /) -> Explanation:
        """Why it waits or failed; the core adds the last log lines of a failure."""
        ...


@runtime_checkable
class SupportsReplicas(Protocol):
    """Can tell the copies of a workload apart."""

    def replicas(self, ref: Ref, /) -> list[ReplicaStatus]:
        """One entry per copy, by number."""
        ...


@runtime_checkable
class SupportsLogBytes(Protocol):
    """Has logs as bytes, at less cost than line by line."""

    def log_bytes(self, ref: Ref, query: LogQuery, /) -> Iterator[bytes | LogLine]:
        """The bytes of what ``logs`` gives, in order, in pieces that may end anywhere; a gap is a LogLine.

        Where several copies write at once the pieces of a follower end on line ends.
        """
        ...


@runtime_checkable
class SupportsExec(Protocol):
    """Can run a command inside a running workload: where it runs, on its GPUs, with its variables."""

    def exec(self, ref: Ref, argv: Sequence[str], /, *, replica: int = 0, stdin: bytes | None = None) -> ExecResult:
        """Run it and give what it wrote."""
        ...

    def exec_interactive(self, ref: Ref, argv: Sequence[str], /, *, replica: int = 0) -> int:
        """Run it on this process's own terminal; returns its exit code."""
        ...


@runtime_checkable
class SupportsScale(Protocol):
    """Runs services that can change."""

    def scale(self, ref: Ref, replicas: int, /) -> None:
        """Ask for so many copies."""
        ...

    def restart(self, ref: Ref, /) -> None:
        """Replace every copy, a few at a time."""
        ...

    def update(self, ref: Ref, item: Submission, /) -> None:
        """Roll out another definition under the same name."""
        ...

    def endpoints(self, ref: Ref, /) -> list[str]:
        """Where it can be reached: ``HOST:PORT``."""
        ...


@runtime_checkable
class SupportsEvents(Protocol):
    """Keeps a history of what happened to a workload."""

    def events(self, ref: Ref, /) -> list[Event]:
        """Oldest first."""
        ...


@runtime_checkable
class SupportsCapacity(Protocol):
    """Can say which GPUs there are."""

    def capacity(self) -> Capacity:
        """All GPUs by node and type, and which are free."""
        ...


@runtime_checkable
class SupportsForward(Protocol):
    """Can carry a local port to a service."""

    def forward(self, ref: Ref, port: int, local_port: int, /, *, replica: int = 0) -> AbstractContextManager[int]:
        """Listen on 127.0.0.1 (0 picks a port); the context gives the local port."""
        ...


@runtime_checkable
class SupportsDelete(Protocol):
    """Can forget a finished workload."""

    def delete(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """Remove the records of finished workloads; one entry per ref: None, or why not. A running job is refused.

        A service is ended and removed.
        """
        ...


@runtime_checkable
class SupportsCheck(Protocol):
    """Can prove that the target works."""

    def check(self) -> list[Check]:
        """One entry per thing looked at; the slow proofs (a tiny job) included."""
        ...


@runtime_checkable
class SupportsLogin(Protocol):
    """Has a connection that a person may have to open (a second factor)."""

    def login(self) -> None:
        """Open it on this process's own terminal."""
        ...


@runtime_checkable
class SupportsRbac(Protocol):
    """Is used under an account whose rights an administrator grants by role-based access control."""

    def rbac(self, *, account: str = "gpujobs", cluster: bool = False) -> str:
        """The least rights that everything needs, as the exact YAML to apply; asks nobody.

        With ``cluster`` also those optional ones that reach beyond the target's own part of the system.
        """
        ...


@runtime_checkable
class SupportsImport(Protocol):
    """Reads what people already have (an sbatch script, a manifest) as a workload. A class method: nobody is asked."""

    @classmethod
    def read_native(cls, text: str, /, *, path: str) -> tuple[GpuJob | GpuService, tuple[str, ...]]:
        """The workload, and what of the text it could not express, one line each.

        Raises:
            SpecError: The text is not of this backend's kind, or cannot be read.
        """
        ...
