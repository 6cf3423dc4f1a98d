"""The contract about keys and verbs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from gpujobs import (
    ConflictError,
    Reason,
    Ref,
    State,
    SubmitManyError,
    WaitTimeoutError,
)
from gpujobs.testing._base import ContractBase

if TYPE_CHECKING:
    from gpujobs import Client


class VerbsContract(ContractBase):
    """One key means one job; every verb does what it says and no more."""

    def test_the_same_key_gives_the_same_job(self, client: Client) -> None:
        """Also after it has ended, and from another client at the same moment."""
        spec = self.job("exit 0", name="once")
        first = client.submit(spec, target=self.target, idempotency_key="contract-once")
        again: list[Ref] = []

        def submit() -> None:
            again.append(client.submit(spec, target=self.target, idempotency_key="contract-once").ref)

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        first.wait(timeout=self.patience)

        assert set(again) == {first.ref}
        assert client.submit(spec, target=self.target, idempotency_key="contract-once").ref == first.ref
        assert len([s for s in client.list_jobs(target=self.target, finished=True) if s.name == "once"]) == 1

    def test_the_same_key_with_another_workload_is_a_conflict(self, client: Client) -> None:
        """A key means one workload for ever."""
        client.submit(self.job("exit 0"), target=self.target, idempotency_key="contract-conflict")

        with pytest.raises(ConflictError):
            client.submit(self.job("exit 1"), target=self.target, idempotency_key="contract-conflict")

    def test_one_refused_of_many_loses_none(self, client: Client) -> None:
        """The error carries the refs of those that were taken."""
        client.submit(self.job("exit 0"), target=self.target, idempotency_key="contract-taken")
        specs = [self.job("exit 0"), self.job("exit 9"), self.job("exit 0")]

        with pytest.raises(SubmitManyError) as caught:
            client.submit_many(specs, target=self.target, idempotency_keys=["c-a", "contract-taken", "c-b"])

        assert [ref is not None for ref in caught.value.refs] == [True, False, True]
        assert isinstance(caught.value.errors[1], ConflictError)
        ended = client.wait([ref for ref in caught.value.refs if ref], timeout=self.patience)
        assert [s.state for s in ended] == [State.SUCCEEDED, State.SUCCEEDED]

    def test_many_statuses_come_in_order(self, client: Client) -> None:
        """One call for many, a ref given twice included."""
        jobs = client.submit_many([self.job(f"exit {i}") for i in range(3)], target=self.target)
        client.wait(jobs, timeout=self.patience)

        statuses = client.status([jobs[2], jobs[0], jobs[2], jobs[1]])
        assert [s.exit_code for s in statuses] == [2, 0, 2, 1]

    def test_cancel_is_final_and_keeps_the_record(self, client: Client) -> None:
        """A cancelled job is CANCELLED; cancelling again is no error; its ref still answers."""
        job = client.submit(self.sleeper(grace=1), target=self.target)
        self.until(client, job, State.RUNNING)
        job.cancel()

        status = job.wait(timeout=self.patience)
        assert status.state is State.CANCELLED
        job.cancel()
        assert job.status().state is State.CANCELLED

    def test_waiting_can_time_out_and_the_job_goes_on(self, client: Client) -> None:
        """WaitTimeoutError is about the waiting only."""
        job = client.submit(self.sleeper(grace=1), target=self.target)

        with pytest.raises(WaitTimeoutError):
            job.wait(timeout=1)
        assert not job.status().final
        job.cancel()
        job.wait(timeout=self.patience)

    def test_the_first_of_many_can_be_waited_for(self, client: Client) -> None:
        """``until="first"`` returns while the others run."""
        slow = client.submit(self.sleeper(grace=1), target=self.target)
        quick = client.submit(self.job("exit 0"), target=self.target)

        statuses = client.wait([slow, quick], timeout=self.patience, until="first")
        assert [s.final for s in statuses] == [False, True]
        slow.cancel()
        slow.wait(timeout=self.patience)

    def test_a_time_limit_ends_a_job_as_failed(self, client: Client) -> None:
        """FAILED, reason timeout."""
        job = client.submit(self.sleeper(time_limit=self.time_limit, grace=1), target=self.target)
        status = job.wait(timeout=self.patience + 2 * self.time_limit.total_seconds())

        assert status.state is State.FAILED
        assert status.reason is not None
        assert status.reason.code is Reason.TIMEOUT

    def test_deleting_forgets_a_finished_job(self, client: Client) -> None:
        """Its ref is LOST, and its key is free again."""
        spec = self.job("exit 0")
        job = client.submit(spec, target=self.target, idempotency_key="contract-delete")
        job.wait(timeout=self.patience)
        job.delete()

        assert job.status().state is State.LOST
        other = client.submit(self.job("exit 1"), target=self.target, idempotency_key="contract-delete")
        assert other.wait(timeout=self.patience).exit_code == 1

    def test_attach_asks_nothing(self, client: Client) -> None:
        """A ref's text is enough to find the job again."""
        job, _ = self.run(client, self.job("exit 4"))

        assert client.attach(str(job.ref)) == job
        assert client.attach(str(job.ref)).status().exit_code == 4

    def test_rendering_is_the_same_every_time(self, client: Client) -> None:
        """The same workload and key give the same bytes, and nothing is made."""
        spec = self.job("exit 0", name="rendered", env={"A": "1", "B": "2"})

        first = client.render(spec, self.target, idempotency_key="contract-render")
        assert first == client.render(spec, self.target, idempotency_key="contract-render")
        assert not [s for s in client.list_jobs(target=self.target, finished=True) if s.name == "rendered"]
