"""The awaitable skin: the same answers, many at once, and a cancelled task ends no job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, GpuJob, SpecError, State, SubmitManyError, UnsupportedError, WaitTimeoutError
from gpujobs.aio import AsyncClient
from gpujobs.testing import Outcome

if TYPE_CHECKING:
    from gpujobs import LogLine

    from .conftest import Counting

JOB = GpuJob(command=["train"])


def test_every_verb_is_awaitable(quick_client: Client) -> None:
    """And gives what the client gives."""

    async def main() -> None:
        async with AsyncClient(quick_client) as aio:
            job = await aio.submit(JOB, idempotency_key="k")
            assert job == quick_client.submit(JOB, idempotency_key="k")
            many = await aio.submit_many([JOB, JOB])
            assert (await aio.status(job)).ref == job.ref
            assert [s.ref for s in await aio.statuses(many)] == [j.ref for j in many]
            assert len(await aio.list_jobs(finished=True)) == 3
            assert (await aio.capacity()).total == 4
            await aio.cancel(many)
            assert (await aio.status(many[0])).state is State.CANCELLED
            await aio.delete(many)
            assert (await aio.status(many[1])).state is State.LOST
            assert (await aio.wait(job, timeout=1000)).succeeded
            assert str(await aio.explain(job)) == "It ended well."
            with pytest.raises(UnsupportedError):
                await aio.exec(job, ["id"])

    asyncio.run(main())


def test_many_are_waited_for_at_once(quick_client: Client, counting: Counting) -> None:
    """Tasks share the one poller."""

    async def main() -> list[bool]:
        aio = AsyncClient(quick_client)
        jobs = await aio.submit_many([JOB] * 10)
        counting.questions = 0
        return [s.succeeded for s in await asyncio.gather(*(aio.wait(job) for job in jobs))]

    assert asyncio.run(main()) == [True] * 10


def test_errors_arrive_as_they_are(quick_client: Client) -> None:
    """Of submission, of waiting, of logs."""

    async def main() -> None:
        aio = AsyncClient(quick_client)
        with pytest.raises(SubmitManyError):
            await aio.submit_many([JOB, JOB.replace(gpus=99)])
        job = await aio.submit(JOB)
        with pytest.raises(WaitTimeoutError, match="is still RUNNING"):
            await aio.wait(job, timeout=3)
        with pytest.raises(SpecError, match="tail=-1"):
            async for _ in aio.logs(job, tail=-1):
                pass

    asyncio.run(main())


def test_cancelling_a_task_stops_the_waiting_and_not_the_job(quick_client: Client, counting: Counting) -> None:
    """The job runs on, and can be waited for again."""
    counting.outcome = lambda _: Outcome(seconds=1e8)

    async def main() -> State:
        aio = AsyncClient(quick_client)
        job = await aio.submit(JOB)
        task = asyncio.create_task(aio.wait(job))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return (await aio.status(job)).state

    assert asyncio.run(main()) is State.RUNNING


def test_leaving_a_log_ends_its_thread(quick_client: Client, counting: Counting) -> None:
    """A follower that is left early does not follow on in the background."""
    counting.outcome = lambda _: Outcome(output=b"one\ntwo\n", seconds=30)

    async def main() -> list[str]:
        aio = AsyncClient(quick_client)
        lines = aio.logs(await aio.submit(JOB), follow=True)
        seen = [line.text async for line in lines]
        await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), timeout=60)
        return seen

    assert asyncio.run(main()) == ["one", "two"]


def test_a_log_comes_as_bytes(quick_client: Client, counting: Counting) -> None:
    """As of the client, and no thread goes on behind it."""
    counting.outcome = lambda _: Outcome(output=b"one\n\xfftwo", seconds=30)

    async def main() -> list[bytes | LogLine]:
        aio = AsyncClient(quick_client)
        job = await aio.submit(JOB)
        pieces = [piece async for piece in aio.log_bytes(job, follow=True)]
        pieces += [piece async for piece in aio.log_bytes(job, tail=1)]
        await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), timeout=10)
        return pieces

    assert asyncio.run(main()) == [b"one\n", b"\xfftwo", b"\xfftwo"]
