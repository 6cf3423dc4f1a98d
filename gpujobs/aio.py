"""A thin awaitable skin: every call runs the synchronous client in a thread.

::

    async with AsyncClient() as client:
        job = await client.submit(GpuJob(command=["nvidia-smi"], gpus=1))
        async for line in client.logs(job, follow=True):
            print(line.text)
        status = await client.wait(job)

Cancelling an awaiting task stops the waiting, never the job.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from gpujobs.errors import WaitTimeoutError
from gpujobs.units import parse_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from typing_extensions import Self

    from gpujobs._fields import Span
    from gpujobs.client import Client
    from gpujobs.job import Job, RefLike, Service
    from gpujobs.results import Capacity, ExecResult, Explanation, LogLine
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs.states import Status

__all__ = ["AsyncClient"]

T = TypeVar("T")
_SLICE_S = 1.0


async def _call(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    return await asyncio.to_thread(functools.partial(function, *args, **kwargs))


async def _each(items: Iterator[T], stop: threading.Event) -> AsyncIterator[T]:
    """Each as it comes; whoever closes this stops what makes them."""

    def following() -> T | None:
        return next(items, None)

    try:
        while (item := await _call(following)) is not None:
            yield item
    finally:
        stop.set()


class AsyncClient:
    """The verbs of :class:`gpujobs.Client`, awaitable. What they mean is documented there."""

    def __init__(self, client: Client | None = None) -> None:
        if client is None:
            from gpujobs.client import Client  # noqa: PLC0415  # first use

            client = Client()
        self.client = client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await _call(self.client.close)

    async def submit(self, workload: GpuJob | GpuService | Sequence[str], **options: Any) -> Job | Service:
        """As ``Client.submit``."""
        return await _call(self.client.submit, workload, **options)

    async def submit_many(
        self, workloads: Iterable[GpuJob | GpuService | Sequence[str]], **options: Any
    ) -> list[Job | Service]:
        """As ``Client.submit_many``."""
        return await _call(self.client.submit_many, workloads, **options)

    async def status(self, ref: RefLike) -> Status:
        """As ``Client.status`` of one."""
        return await _call(self.client.status, ref)

    async def statuses(self, refs: Sequence[RefLike]) -> list[Status]:
        """As ``Client.status`` of many."""
        return await _call(self.client.status, list(refs))

    async def wait(self, ref: RefLike, *, timeout: Span | None = None) -> Status:  # the client's own word
        """As ``Client.wait`` of one; the thread behind it ends soon after a cancellation."""
        clock = self.client.clock
        deadline = None if timeout is None else clock.monotonic() + parse_wait(timeout)
        while True:
            left = None if deadline is None else deadline - clock.monotonic()
            try:
                return await _call(self.client.wait, ref, timeout=_SLICE_S if left is None else min(_SLICE_S, left))
            except WaitTimeoutError:
                if left is not None and left <= _SLICE_S:
                    raise

    def logs(
        self,
        ref: RefLike,
        *,
        follow: bool = False,
        tail: int | None = None,
        replica: int | None = None,
        attempt: int | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[LogLine]:
        """As ``Client.logs``."""
        stop = threading.Event()
        found = self.client.logs(
            ref, follow=follow, tail=tail, replica=replica, attempt=attempt, since=since, stop=stop.is_set
        )
        return _each(found, stop)

    def log_bytes(
        self,
        ref: RefLike,
        *,
        follow: bool = False,
        tail: int | None = None,
        replica: int | None = None,
        attempt: int | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[bytes | LogLine]:
        """As ``Client.log_bytes``."""
        stop = threading.Event()
        found = self.client.log_bytes(
            ref, follow=follow, tail=tail, replica=replica, attempt=attempt, since=since, stop=stop.is_set
        )
        return _each(found, stop)

    async def cancel(self, refs: RefLike | Iterable[RefLike]) -> None:
        """As ``Client.cancel``."""
        await _call(self.client.cancel, refs)

    async def delete(self, refs: RefLike | Iterable[RefLike]) -> None:
        """As ``Client.delete``."""
        await _call(self.client.delete, refs)

    async def explain(self, ref: RefLike) -> Explanation:
        """As ``Client.explain``."""
        return await _call(self.client.explain, ref)

    async def exec(self, ref: RefLike, argv: Sequence[str], *, replica: int = 0) -> ExecResult:
        """As ``Client.exec``."""
        return await _call(self.client.exec, ref, argv, replica=replica)

    async def capacity(self, target: str | None = None) -> Capacity:
        """As ``Client.capacity``."""
        return await _call(self.client.capacity, target)

    async def list_jobs(self, **query: Any) -> list[Status]:
        """As ``Client.list_jobs``."""
        return await _call(self.client.list_jobs, **query)
