"""The contract about the fields of a job, as a real process sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs import (
    GpuJob,
    Reason,
    Secret,
    State,
    UnsupportedError,
)
from gpujobs.testing._base import ContractBase

if TYPE_CHECKING:
    from gpujobs import Client


class FieldsContract(ContractBase):
    """What a job says is what it gets."""

    def test_a_job_knows_who_it_is(self, client: Client) -> None:
        """Its ref, key, attempt and rank are in its environment."""
        spec = self.job(
            'echo "$GPUJOBS_REF|$GPUJOBS_KEY|$GPUJOBS_ATTEMPT|$GPUJOBS_RANK|$GPUJOBS_WORLD_SIZE|$GPUJOBS_NODES"'
        )
        job = client.submit(spec, target=self.target)
        job.wait(timeout=self.patience)

        assert self.text(job) == [f"{job.ref}|{job.key}|0|0|1|1"]

    def test_files_and_secrets_arrive_and_secrets_show_nowhere(self, client: Client) -> None:
        """A file's content is exact; a secret is in the environment and in no rendering, status or explanation."""
        content = "a 'quoted' $line\nEOF\n\\end"
        spec = self.job(
            'cat "$GPUJOBS_FILES/dir/in put.txt"; echo; printf %s "$TOKEN" | wc -c',
            files={"dir/in put.txt": content},
            secrets=[Secret("TOKEN", "s3cr3t-v4lu3")],
        )
        job, status = self.run(client, spec)

        assert self.text(job) == [*content.split("\n"), "12"], status
        assert "s3cr3t" not in client.render(spec, self.target)
        assert "<secret TOKEN>" in client.render(spec, self.target)
        assert "s3cr3t" not in f"{status!r}{job.explain()}{spec!r}{spec.model_dump_json()}"

    def test_what_cannot_be_run_says_so(self, client: Client) -> None:
        """A program that is not there fails with 127 and a sentence about it."""
        job, status = self.run(client, self.job("true").replace(command=("no-such-program-anywhere",)))

        assert status.state is State.FAILED
        assert status.exit_code in {127, 128, None}
        assert "no-such-program-anywhere" in f"{job.explain()} {job.explain().details} {status.reason}"

    def test_a_retry_is_an_attempt_of_the_same_job(self, client: Client) -> None:
        """The second attempt succeeds; both logs are kept apart."""
        job = client.submit(
            self.job("echo try $GPUJOBS_ATTEMPT; test $GPUJOBS_ATTEMPT = 1", retries=2), target=self.target
        )
        status = job.wait(timeout=self.patience)

        assert (status.state, status.attempt) == (State.SUCCEEDED, 1)
        assert "try 1" in self.text(job)
        assert self.raw(job, attempt=1) == b"".join(line.raw for line in job.logs(attempt=1))
        assert self.raw(job) == b"".join(line.raw for line in job.logs())

    def test_an_array_has_elements(self, client: Client) -> None:
        """Each element has its index, its own ref and its own end; the array sums them up."""
        spec = self.job(
            'echo "element $GPUJOBS_ARRAY_INDEX of $GPUJOBS_ARRAY_SIZE"; test $GPUJOBS_ARRAY_INDEX != 1', array=3
        )
        job = client.submit(spec, target=self.target)
        status = job.wait(timeout=self.patience)

        assert status.state is State.FAILED
        assert (status.replicas.wanted, status.replicas.succeeded, status.replicas.failed) == (3, 2, 1)
        assert sorted(self.text(job)) == [f"element {i} of 3" for i in range(3)]
        assert self.text(job, replica=2) == ["element 2 of 3"]
        assert self.raw(job, replica=2) == self.raw(job, replica=2, follow=True) == b"element 2 of 3\n"
        assert sorted(self.raw(job, follow=True).splitlines()) == [b"element %d of 3" % i for i in range(3)]
        assert [r.state for r in job.replicas()] == [State.SUCCEEDED, State.FAILED, State.SUCCEEDED]

    def test_a_job_after_another_sees_its_end(self, client: Client) -> None:
        """``ok`` runs after a success and never after a failure; ``any`` runs after both."""
        good = client.submit(self.job("exit 0"), target=self.target)
        bad = client.submit(self.job("exit 1"), target=self.target)
        after_good = client.submit(self.job("exit 0", after=[good]), target=self.target)
        after_bad = client.submit(self.job("exit 0", after=[bad]), target=self.target)
        any_end = client.submit(self.job("exit 0", after=[f"any:{bad.ref}"]), target=self.target)

        assert after_good.wait(timeout=self.patience).succeeded
        assert any_end.wait(timeout=self.patience).succeeded
        ended = after_bad.wait(timeout=self.patience)
        assert ended.final
        assert not ended.succeeded
        assert ended.reason is not None
        assert ended.reason.code is Reason.DEPENDENCY

    def test_jobs_are_listed_by_name_and_label(self, client: Client) -> None:
        """Running ones; finished ones on request; hostile names come back as they were."""
        name = "Näme with 'quotes' / and $(x)"
        job = client.submit(self.sleeper(name=name, labels={"team": "ml"}, grace=1), target=self.target)
        self.until(client, job, State.RUNNING)

        assert [s.ref for s in client.list_jobs(target=self.target, name=name)] == [job.ref]
        assert job.ref in [s.ref for s in client.list_jobs(target=self.target, labels={"team": "ml"})]
        assert job.ref not in [s.ref for s in client.list_jobs(target=self.target, labels={"team": "x"})]
        job.cancel()
        job.wait(timeout=self.patience)
        assert job.ref not in [s.ref for s in client.list_jobs(target=self.target)]
        found = [s for s in client.list_jobs(target=self.target, finished=True) if s.ref == job.ref]
        assert [s.name for s in found] == [name]

    def test_an_unsupported_field_is_named(self, client: Client) -> None:
        """What cannot be honoured is refused by name, never dropped."""
        spec = self.unsupported()
        if spec is None:
            pytest.skip("this backend honours every field")
        field, workload = spec
        with pytest.raises(UnsupportedError, match=field):
            client.submit(workload, target=self.target)

    def unsupported(self) -> tuple[str, GpuJob] | None:
        """A field that this backend refuses, and a job that sets it."""
        return None
