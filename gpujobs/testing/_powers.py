"""The contract about what a backend can do beyond the six calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

import pytest

from gpujobs import State, UnsupportedError
from gpujobs.errors import PreflightError
from gpujobs.testing._base import ContractBase

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs import Client

T = TypeVar("T")


class PowersContract(ContractBase):
    """What is there works; what is not there is said, with the name of the backend."""

    lacks: ClassVar[frozenset[str]] = frozenset()
    """Of ``exec``, ``capacity``, ``check`` and ``preflight`` those that the backend does not have."""

    def test_a_command_runs_inside_a_running_job(self, client: Client) -> None:
        """With stdin, both outputs apart, its own exit code, and the variables of the workload."""
        job = client.submit(self.sleeper(grace=1, env={"OWN": "of the job"}), target=self.target)
        self.until(client, job, State.RUNNING)
        script = 'cat; echo " $OWN $GPUJOBS_REF"; echo aside >&2; exit 3'
        said = self.power("exec", lambda: job.exec(["sh", "-c", script], stdin=b"given"))
        job.cancel()
        job.wait(timeout=self.patience)

        if said is not None:
            assert (said.exit_code, said.stdout.decode()) == (3, f"given of the job {job.ref}\n")
            assert b"aside" in said.stderr  # beside what the system itself may have to say

    def test_capacity_adds_up(self, client: Client) -> None:
        """Per kind of GPU no more are free than there are, and the totals are the sums."""
        capacity = self.power("capacity", lambda: client.capacity(self.target))

        if capacity is not None:
            assert all(0 <= gpu.free <= gpu.total for gpu in capacity.gpus)
            assert capacity.total == sum(gpu.total for gpu in capacity.gpus)
            assert capacity.free == sum(gpu.free for gpu in capacity.gpus)

    def test_checks_say_what_to_do(self, client: Client) -> None:
        """Each has a title; one that fails has a next step."""
        checks = self.power("check", lambda: client.check(self.target))

        if checks is not None:
            assert [check for check in checks if not check.title or not (check.ok or check.next)] == []
            assert checks

    def test_what_could_never_run_is_refused_at_once(self, client: Client) -> None:
        """Nothing of it is made, and the error says what would be possible."""
        spec = self.job("true", name="never", gpus=100_000)
        if "preflight" in self.lacks:
            job = client.submit(spec, target=self.target)
            assert job.status().state is State.PENDING
            job.cancel()
            return
        with pytest.raises(PreflightError) as caught:
            client.submit(spec, target=self.target)

        assert caught.value.next_step
        assert client.list_jobs(target=self.target, finished=True, name="never") == []

    def test_a_failure_is_explained_with_its_last_words(self, client: Client) -> None:
        """One sentence, and the end of the log as evidence."""
        job, _ = self.run(client, self.job("echo last words; exit 7"))
        told = job.explain()

        assert "7" in str(told)
        assert any("last words" in detail for detail in told.details)

    def power(self, name: str, call: Callable[[], T]) -> T | None:
        """What the call gives; None where the backend lacks that, once it has said so."""
        if name not in self.lacks:
            return call()
        with pytest.raises(UnsupportedError, match=r"The \w+ backend"):
            call()
        return None
