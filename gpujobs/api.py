"""The verbs as functions on one default client, made on first use from the configuration.

Everything is documented on :class:`gpujobs.Client`.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from typing_extensions import Unpack

    from gpujobs._fields import JobFields, Span
    from gpujobs.client import Client
    from gpujobs.job import Job, RefLike, Service
    from gpujobs.results import Capacity, Explanation, LogLine
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs.states import State, Status

__all__ = [
    "attach",
    "cancel",
    "capacity",
    "default_client",
    "delete",
    "explain",
    "list_jobs",
    "logs",
    "render",
    "status",
    "submit",
    "submit_many",
    "wait",
]


class _Default:
    """The one default client of this process; a fork makes its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: Client | None = None
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._client = None

    def get(self) -> Client:
        from gpujobs.client import Client  # noqa: PLC0415  # first use, as the import budget wants it

        with self._lock:
            if self._client is None:
                self._client = Client()
            return self._client


_default = _Default()


def default_client() -> Client:
    """The client behind the functions of this module."""
    return _default.get()


@overload
def submit(
    workload: GpuJob, *, target: str | None = ..., idempotency_key: str | None = ..., preflight: bool = ...
) -> Job: ...
@overload
def submit(
    workload: GpuService, *, target: str | None = ..., idempotency_key: str | None = ..., preflight: bool = ...
) -> Service: ...
@overload
def submit(
    workload: Sequence[str],
    *,
    target: str | None = ...,
    idempotency_key: str | None = ...,
    preflight: bool = ...,
    **fields: Unpack[JobFields],
) -> Job: ...
def submit(workload: Any, **options: Any) -> Job | Service:
    """Submit one workload, exactly once: a GpuJob, a GpuService, or a command with the fields of a GpuJob.

    See :meth:`gpujobs.Client.submit`.
    """
    job: Job | Service = default_client().submit(workload, **options)
    return job


def submit_many(
    workloads: Iterable[GpuJob | GpuService | Sequence[str]],
    *,
    target: str | None = None,
    idempotency_keys: Sequence[str] | None = None,
    preflight: bool = True,
) -> list[Job | Service]:
    """Submit many at once; see :meth:`gpujobs.Client.submit_many`."""
    return default_client().submit_many(
        workloads, target=target, idempotency_keys=idempotency_keys, preflight=preflight
    )


def attach(ref: RefLike) -> Job | Service:
    """The workload of a ref, from any machine; see :meth:`gpujobs.Client.attach`."""
    return default_client().attach(ref)


@overload  # a text is one ref, not many of one letter, so the overlap is meant
def status(refs: RefLike, /) -> Status: ...  # type: ignore[overload-overlap]
@overload
def status(refs: Iterable[RefLike], /) -> list[Status]: ...
def status(refs: RefLike | Iterable[RefLike], /) -> Status | list[Status]:
    """The status of one or many; see :meth:`gpujobs.Client.status`."""
    return default_client().status(refs)  # pyright: ignore[reportUnknownVariableType, reportArgumentType, reportCallIssue]


@overload
def wait(  # type: ignore[overload-overlap]  # as for status
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
    refs: Iterable[RefLike],
    /,
    *,
    timeout: Span | None = ...,
    unknown_timeout: Span | None = ...,
    until: Literal["all", "first"] = ...,
    on_status: Callable[[Sequence[Status]], None] | None = ...,
) -> list[Status]: ...
def wait(refs: Any, /, **options: Any) -> Status | list[Status]:
    """Block until one, all or the first of many have ended; see :meth:`gpujobs.Client.wait`."""
    return default_client().wait(refs, **options)  # type: ignore[no-any-return]  # pyright: ignore[reportUnknownVariableType]


def logs(
    ref: RefLike,
    *,
    follow: bool = False,
    tail: int | None = None,
    replica: int | None = None,
    attempt: int | None = None,
    since: datetime | None = None,
) -> Iterator[LogLine]:
    """The lines that a workload wrote; see :meth:`gpujobs.Client.logs`."""
    return default_client().logs(ref, follow=follow, tail=tail, replica=replica, attempt=attempt, since=since)


def list_jobs(
    *,
    target: str | None = None,
    finished: bool = False,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    states: Iterable[State] = (),
    limit: int | None = None,
) -> list[Status]:
    """The workloads of gpujobs on a target, newest first; see :meth:`gpujobs.Client.list_jobs`."""
    return default_client().list_jobs(
        target=target, finished=finished, name=name, labels=labels, states=states, limit=limit
    )


def cancel(refs: RefLike | Iterable[RefLike], /) -> None:
    """End workloads and keep their records; see :meth:`gpujobs.Client.cancel`."""
    default_client().cancel(refs)


def delete(refs: RefLike | Iterable[RefLike], /) -> None:
    """Remove the records of finished workloads; see :meth:`gpujobs.Client.delete`."""
    default_client().delete(refs)


def explain(ref: RefLike) -> Explanation:
    """Why a workload waits or failed; see :meth:`gpujobs.Client.explain`."""
    return default_client().explain(ref)


def render(workload: GpuJob | GpuService, target: str | None = None, *, idempotency_key: str | None = None) -> str:
    """The exact text that would be sent; see :meth:`gpujobs.Client.render`."""
    return default_client().render(workload, target, idempotency_key=idempotency_key)


def capacity(target: str | None = None) -> Capacity:
    """The GPUs of a target; see :meth:`gpujobs.Client.capacity`."""
    return default_client().capacity(target)
