"""The client's verbs on running workloads: exec, replicas, events, and those of services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs._identity import submission, with_defaults
from gpujobs._session import to_ref
from gpujobs._waiting import wait_ready
from gpujobs.backend import SupportsEvents, SupportsExec, SupportsForward, SupportsReplicas, SupportsScale
from gpujobs.errors import SpecError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from gpujobs._fields import Span
    from gpujobs._session import Session
    from gpujobs.job import RefLike
    from gpujobs.refs import Ref
    from gpujobs.results import Event, ExecResult, ReplicaStatus
    from gpujobs.specs import GpuService
    from gpujobs.states import Status


class RunningVerbs:
    """What can be done to one workload that runs."""

    _session: Session

    def replicas(self, ref: RefLike) -> list[ReplicaStatus]:
        """Node, state and exit code of each copy.

        Raises:
            NotFoundError: There is no such workload. UnsupportedError: The backend cannot tell them apart.
        """
        which = to_ref(ref)
        return self._session.able(which, SupportsReplicas, "tell the copies of a workload apart").replicas(which)

    def events(self, ref: RefLike) -> list[Event]:
        """What the system noted about a workload, oldest first.

        Raises:
            UnsupportedError: The backend keeps none.
        """
        which = to_ref(ref)
        return self._session.able(which, SupportsEvents, "list events").events(which)

    def exec(self, ref: RefLike, argv: Sequence[str], *, replica: int = 0, stdin: bytes | None = None) -> ExecResult:
        """Run a command inside a running workload.

        Raises:
            SpecError: The command is empty. NotFoundError: Nothing runs there. UnsupportedError: Not on this backend.
        """
        which, words = to_ref(ref), _argv(argv)
        power = self._session.able(which, SupportsExec, "run commands inside a workload")
        return power.exec(which, words, replica=replica, stdin=stdin)

    def exec_interactive(self, ref: RefLike, argv: Sequence[str], *, replica: int = 0) -> int:
        """Run a command inside a running workload on this terminal; its exit code."""
        which, words = to_ref(ref), _argv(argv)
        power = self._session.able(which, SupportsExec, "run commands inside a workload")
        return power.exec_interactive(which, words, replica=replica)

    def wait_ready(self, ref: RefLike, *, timeout: Span | None = None) -> Status:
        """Block until all copies of a service are ready, and none of a former definition is left.

        Raises:
            WaitTimeoutError: Not in time; the message says why not. JobFailedError: It ended instead.
        """
        return wait_ready(self._session, _service(ref), timeout=timeout)

    def scale(self, ref: RefLike, replicas: int) -> None:
        """Ask for so many copies of a service; 0 suspends it.

        Raises:
            SpecError: A negative number. UnsupportedError: The backend runs no services.
        """
        if replicas < 0:
            raise SpecError(f"{replicas} replicas: the number cannot be negative.", next_step="Give 0 or more.")
        which = _service(ref)
        self._session.able(which, SupportsScale, "scale services").scale(which, replicas)

    def restart(self, ref: RefLike) -> None:
        """Replace every copy of a service, a few at a time."""
        which = _service(ref)
        self._session.able(which, SupportsScale, "restart services").restart(which)

    def update(self, ref: RefLike, workload: GpuService) -> None:
        """Roll out another definition of a service under its name.

        Raises:
            SpecError: The definition names another service.
        """
        which = _service(ref)
        power = self._session.able(which, SupportsScale, "update services")
        name = which.id.rpartition("/")[2]
        named = workload if workload.name else workload.replace(name=name)
        merged = with_defaults(named, self._session.defaults(which.target), target=which.target)
        power.update(which, submission(merged, merged.name or name))

    def endpoints(self, ref: RefLike) -> list[str]:
        """Where a service can be reached: ``HOST:PORT``."""
        which = _service(ref)
        return self._session.able(which, SupportsScale, "run services").endpoints(which)

    def forward(self, ref: RefLike, port: int, local_port: int = 0, *, replica: int = 0) -> AbstractContextManager[int]:
        """Carry a port of 127.0.0.1 to a workload while the context is open; it gives the local port."""
        which = to_ref(ref)
        power = self._session.able(which, SupportsForward, "forward ports")
        return power.forward(which, port, local_port, replica=replica)


def _argv(argv: Sequence[str]) -> list[str]:
    words = [argv] if isinstance(argv, str) else list(argv)
    if not words or not words[0]:
        raise SpecError("The command to run is empty.", next_step="Give its words: exec(['nvidia-smi']).")
    if any("\0" in word for word in words):
        raise SpecError("A word of the command holds a NUL character.", next_step="Remove it.")
    return words


def _service(ref: RefLike) -> Ref:
    which = to_ref(ref)
    if which.kind != "service":
        raise UnsupportedError(f"{which} is a job, not a service.", next_step="Only a GpuService can do that.")
    return which
