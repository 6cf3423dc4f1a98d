"""``Client``: the verbs. Everything else in gpujobs (functions, ``Job``, command line, ``aio``) goes through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from gpujobs._explain import explain
from gpujobs._logs import LogVerbs
from gpujobs._poll import ask
from gpujobs._running import RunningVerbs
from gpujobs._session import Session, to_ref
from gpujobs._submitting import SubmitVerbs
from gpujobs._waiting import raise_first, wait
from gpujobs.backend import (
    JobQuery,
    SupportsCapacity,
    SupportsCheck,
    SupportsDelete,
    SupportsLogin,
    SupportsRbac,
)
from gpujobs.errors import GpuJobsError, UnsupportedError
from gpujobs.job import Job, Service, bind
from gpujobs.refs import Ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from typing_extensions import Self

    from gpujobs._fields import Span
    from gpujobs.backend import Backend, Clock
    from gpujobs.config import Config
    from gpujobs.job import RefLike
    from gpujobs.results import Capacity, Check, Explanation
    from gpujobs.states import State, Status

__all__ = ["Client"]


class Client(SubmitVerbs, RunningVerbs, LogVerbs):
    """Submits workloads to targets and tells what becomes of them. Thread-safe; safe after fork.

    Args:
        config: The targets; by default what ``Config.load()`` finds.
        clock: Time and sleep, for tests.
        state_dir: Where the journal and local jobs live; by default ``GPUJOBS_STATE_DIR`` or the user's.
        backends: Ready-made backends by target name, beside the configured ones (tests, embedding).

    Refs may be given as Ref, as text, or as a Job or Service. Leaving the context closes connections; it never ends a
    job, and neither does an interrupt.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        clock: Clock | None = None,
        state_dir: str | Path | None = None,
        backends: Mapping[str, Backend] | None = None,
    ) -> None:
        self._session = Session(config, clock=clock, directory=state_dir, backends=backends)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections. Jobs go on."""
        self._session.close()

    @property
    def config(self) -> Config:
        """The targets of this client."""
        return self._session.config

    def attach(self, ref: RefLike) -> Job | Service:
        """The workload of a ref, from any machine with the same target. Asks nothing."""
        return bind(to_ref(ref), self)

    @property
    def clock(self) -> Clock:
        """The time this client goes by."""
        return self._session.clock

    # -- looking

    @overload  # a text is one ref, not many of one letter, so the overlap is meant
    def status(self, refs: RefLike, /) -> Status: ...  # type: ignore[overload-overlap]
    @overload
    def status(self, refs: Iterable[RefLike], /) -> list[Status]: ...
    def status(self, refs: RefLike | Iterable[RefLike], /) -> Status | list[Status]:
        """The status of one, or of many in a constant number of questions per target.

        What the system does not know is LOST, what cannot be asked is UNKNOWN.
        """
        many, single = _refs(refs)
        groups = self._session.by_target(many)
        if len(groups) == 1 and not single:  # the usual case of many, and each once
            ((target, group),) = groups.items()
            if len(group) == len(many):
                return ask(self._session.backend(target), group)
        found: dict[Ref, Status] = {}
        for target, group in groups.items():
            found.update((s.ref, s) for s in ask(self._session.backend(target), group))
        return found[many[0]] if single else [found[ref] for ref in many]

    @overload
    def wait(  # type: ignore[overload-overlap]  # as for status
        self,
        refs: RefLike,
        /,
        *,
        timeout: Span | None = ...,
        unknown_timeout: Span | None = ...,
        until: Literal["all", "first"] = ...,
        on_status: Callable[[Sequence[Status]], None] | None = ...,
    ) -> Status: ...
    @overload
    def wait(
        self,
        refs: Iterable[RefLike],
        /,
        *,
        timeout: Span | None = ...,
        unknown_timeout: Span | None = ...,
        until: Literal["all", "first"] = ...,
        on_status: Callable[[Sequence[Status]], None] | None = ...,
    ) -> list[Status]: ...
    def wait(
        self,
        refs: RefLike | Iterable[RefLike],
        /,
        *,
        timeout: Span | None = None,
        unknown_timeout: Span | None = None,
        until: Literal["all", "first"] = "all",
        on_status: Callable[[Sequence[Status]], None] | None = None,
    ) -> Status | list[Status]:
        """Block until one, all or the first of many have ended; the status of each, in order.

        Args:
            refs: One ref, or several.
            timeout: How long to wait in all: seconds, a timedelta or "60s"; None waits for ever.
            unknown_timeout: How long to bear that the system cannot be asked.
            until: ``first`` returns as soon as one has ended.
            on_status: Called with every round's statuses (progress).

        Raises:
            WaitTimeoutError: A time-out passed; the workload goes on.
        """
        many, single = _refs(refs)
        found = wait(
            self._session, many, timeout=timeout, unknown_timeout=unknown_timeout, until=until, on_status=on_status
        )
        return found[0] if single else found

    def list_jobs(
        self,
        *,
        target: str | None = None,
        finished: bool = False,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        states: Iterable[State] = (),
        limit: int | None = None,
    ) -> list[Status]:
        """The workloads of gpujobs on a target, newest first."""
        query = JobQuery(finished=finished, name=name, labels=dict(labels or {}), states=frozenset(states), limit=limit)
        return self._session.backend(self._session.name(target)).jobs(query)

    def explain(self, ref: RefLike) -> Explanation:
        """Why a workload waits or failed, with numbers, and what to do next; ``str()`` of it is the sentence.

        Raises:
            NotFoundError: There is no such workload.
        """
        return explain(self._session, to_ref(ref))

    def capacity(self, target: str | None = None) -> Capacity:
        """The GPUs of a target by node and type, and which are free.

        Raises:
            UnsupportedError: The backend cannot tell.
        """
        backend = self._session.backend(self._session.name(target))
        if not isinstance(backend, SupportsCapacity):
            raise UnsupportedError(f"The {backend.name} backend cannot tell its capacity.")
        return backend.capacity()

    def check(self, target: str | None = None) -> list[Check]:
        """Prove that a target works.

        Raises:
            UnsupportedError: The backend has no checks.
        """
        backend = self._session.backend(self._session.name(target))
        if not isinstance(backend, SupportsCheck):
            raise UnsupportedError(f"The {backend.name} backend has no checks.")
        return backend.check()

    def login(self, target: str | None = None) -> None:
        """Open a target's connection on this terminal, for sites with a second factor.

        Raises:
            UnsupportedError: The backend has no connection to open.
        """
        backend = self._session.backend(self._session.name(target))
        if not isinstance(backend, SupportsLogin):
            raise UnsupportedError(f"The {backend.name} backend needs no login.")
        backend.login()

    def rbac(self, target: str | None = None, *, account: str = "gpujobs", cluster: bool = False) -> str:
        """The least rights that a target needs, as the YAML that an administrator applies.

        Raises:
            UnsupportedError: The backend knows no roles.
        """
        backend = self._session.backend(self._session.name(target))
        if not isinstance(backend, SupportsRbac):
            raise UnsupportedError(
                f"The {backend.name} backend knows no roles: who may use it is decided by the system's own accounts.",
                next_step="Only targets with role-based access control, as of the kubernetes backend, have any.",
            )
        return backend.rbac(account=account, cluster=cluster)

    # -- ending

    def cancel(self, refs: RefLike | Iterable[RefLike], /) -> None:
        """End workloads and keep their records; one that has ended already is no error.

        Raises:
            NotFoundError: One is not known; the others are cancelled all the same.
        """
        many, _ = _refs(refs)
        errors: list[GpuJobsError | None] = []
        for target, group in self._session.by_target(many).items():
            errors += self._session.backend(target).cancel(group)
        raise_first(errors)

    def delete(self, refs: RefLike | Iterable[RefLike], /) -> None:
        """Remove the records of finished workloads; a service is ended and removed. The key is free again.

        Raises:
            NotFoundError: One is not known. RejectedError: One still runs. The others are deleted all the same.
        """
        many, _ = _refs(refs)
        errors: list[GpuJobsError | None] = []
        for group in self._session.by_target(many).values():
            errors += self._session.able(group[0], SupportsDelete, "delete records").delete(group)
        raise_first(errors)

    def gc(self, *, older_than: timedelta, target: str | None = None, dry_run: bool = False) -> list[Ref]:
        """Delete the records of jobs that ended longer ago than that; the refs that went (or would go)."""
        horizon = self._session.clock.time() - older_than.total_seconds()
        old = [
            s.ref
            for s in self.list_jobs(target=target, finished=True)
            if s.final and s.kind == "job" and s.ended_at is not None and s.ended_at.timestamp() <= horizon
        ]
        if old and not dry_run:
            self.delete(old)
        return old


def _refs(refs: Any) -> tuple[list[Ref], bool]:
    """(refs, whether a single one was given)."""
    if isinstance(refs, (Ref, str, Job)):
        return [to_ref(refs)], True
    return [to_ref(r) for r in refs], False
