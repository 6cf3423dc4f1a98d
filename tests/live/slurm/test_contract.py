"""The whole contract of gpujobs on real Slurm, with accounting and without."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gpujobs import GpuJob, Reason, State
from gpujobs.testing.contract import BackendContract

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurm_beds import Cluster
    from slurm_tables import Table

    from gpujobs import Client, Job


class SlurmContract(BackendContract):
    """What all Slurm targets share."""

    target = "lab"
    time_limit = timedelta(minutes=1)
    limited: Job
    """A job of a minute's limit, submitted when the session began, so that nobody waits for that minute."""

    def test_a_time_limit_ends_a_job_as_failed(self, client: Client) -> None:
        """FAILED, reason timeout."""
        status = self.limited.wait(timeout=self.patience + self.time_limit.total_seconds())

        assert status.state is State.FAILED
        assert status.reason is not None
        assert status.reason.code is Reason.TIMEOUT
        assert status.started_at is not None
        assert status.ended_at is not None
        assert status.ended_at - status.started_at >= self.time_limit

    def unsupported(self) -> tuple[str, GpuJob]:
        """Slurm runs jobs as the user who submits them."""
        return "service_account", self.job("exit 0", service_account="robot")


class TestWithoutAccounting(SlurmContract):
    """22.05: the queue and the job directory are all there is."""

    @pytest.fixture
    def client(self, plain: Cluster, plain_table: Table, connect: Callable[..., Client]) -> Client:
        """A client of the plain cluster."""
        self.limited = plain_table.jobs["time limit"]
        return connect(plain)


class TestWithAccounting(SlurmContract):
    """22.05 with slurmdbd."""

    @pytest.fixture
    def client(self, accounted: Cluster, accounted_table: Table, connect: Callable[..., Client]) -> Client:
        """A client of the accounted cluster."""
        self.limited = accounted_table.jobs["time limit"]
        return connect(accounted)
