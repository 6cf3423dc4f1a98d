"""``Job`` and ``Service``: a ref bound to a client, with the verbs as methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, Union

from gpujobs.refs import Ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from gpujobs._fields import Span
    from gpujobs.client import Client
    from gpujobs.results import Event, ExecResult, Explanation, LogLine, ReplicaStatus
    from gpujobs.specs import GpuService
    from gpujobs.states import Status

__all__ = ["Job", "RefLike", "Service", "bind"]

RefLike: TypeAlias = Union[Ref, str, "Job"]
"""A ref, its text, or a Job or Service."""


class Job:
    """A submitted workload. Holds no state of its own: every method asks.

    Attributes:
        ref: Its printable address; ``attach(ref)`` gives it back, anywhere.
        key: The idempotency key it was submitted with, or None where it was attached.
    """

    def __init__(self, ref: Ref, client: Client, *, key: str | None = None) -> None:
        self.ref = ref
        self.key = key
        self._client = client

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.ref)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.ref == other.ref

    def __hash__(self) -> int:
        return hash(self.ref)

    def status(self) -> Status:
        """Where it stands now."""
        return self._client.status(self.ref)

    def wait(
        self,
        timeout: Span | None = None,
        *,
        unknown_timeout: Span | None = None,
        on_status: Callable[[Sequence[Status]], None] | None = None,
    ) -> Status:
        """Block until it has ended. Interrupting the wait never ends the job.

        Raises:
            WaitTimeoutError: A time-out (seconds) passed; the job goes on.
        """
        return self._client.wait(self.ref, timeout=timeout, unknown_timeout=unknown_timeout, on_status=on_status)

    def logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        replica: int | None = None,
        attempt: int | None = None,
        since: datetime | None = None,
    ) -> Iterator[LogLine]:
        """The lines it wrote; with ``follow`` until it has ended."""
        return self._client.logs(self.ref, follow=follow, tail=tail, replica=replica, attempt=attempt, since=since)

    def log_bytes(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        replica: int | None = None,
        attempt: int | None = None,
        since: datetime | None = None,
    ) -> Iterator[bytes | LogLine]:
        """The bytes it wrote, in pieces of any size as they come; the only LogLines among them are gaps."""
        return self._client.log_bytes(self.ref, follow=follow, tail=tail, replica=replica, attempt=attempt, since=since)

    def cancel(self) -> None:
        """End it and keep its record."""
        self._client.cancel(self.ref)

    def delete(self) -> None:
        """Remove its record, once it has ended."""
        self._client.delete(self.ref)

    def explain(self) -> Explanation:
        """Why it waits or failed, and what to do next."""
        return self._client.explain(self.ref)

    def replicas(self) -> list[ReplicaStatus]:
        """Node, state and exit code of each copy."""
        return self._client.replicas(self.ref)

    def events(self) -> list[Event]:
        """What the system noted about it, oldest first."""
        return self._client.events(self.ref)

    def exec(self, argv: Sequence[str], *, replica: int = 0, stdin: bytes | None = None) -> ExecResult:
        """Run a command inside it."""
        return self._client.exec(self.ref, argv, replica=replica, stdin=stdin)


class Service(Job):
    """A submitted GpuService."""

    def wait_ready(self, timeout: Span | None = None) -> Status:
        """Block until all copies are ready, and none of a former definition is left.

        Raises:
            WaitTimeoutError: Not in time; the message says why not. JobFailedError: It ended instead.
        """
        return self._client.wait_ready(self.ref, timeout=timeout)

    def scale(self, replicas: int) -> None:
        """Ask for so many copies; 0 suspends it."""
        self._client.scale(self.ref, replicas)

    def restart(self) -> None:
        """Replace every copy, a few at a time."""
        self._client.restart(self.ref)

    def update(self, workload: GpuService) -> None:
        """Roll out another definition under the same name."""
        self._client.update(self.ref, workload)

    def endpoints(self) -> list[str]:
        """Where it can be reached: ``HOST:PORT``."""
        return self._client.endpoints(self.ref)

    def forward(self, port: int, local_port: int = 0, *, replica: int = 0) -> AbstractContextManager[int]:
        """Carry a port of 127.0.0.1 to it while the context is open."""
        return self._client.forward(self.ref, port, local_port, replica=replica)


def bind(ref: Ref, client: Client, *, key: str | None = None) -> Job | Service:
    """The Job or Service of a ref."""
    return (Service if ref.kind == "service" else Job)(ref, client, key=key)
