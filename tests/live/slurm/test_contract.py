"""The whole contract of gpujobs on real Slurm, with accounting and without."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gpujobs.testing.contract import BackendContract

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurm_beds import Cluster

    from gpujobs import Client, GpuJob


class SlurmContract(BackendContract):
    """What all Slurm targets share."""

    target = "lab"
    time_limit = timedelta(minutes=1)

    def unsupported(self) -> tuple[str, GpuJob]:
        """Slurm runs jobs as the user who submits them."""
        return "service_account", self.job("exit 0", service_account="robot")


class TestWithoutAccounting(SlurmContract):
    """22.05: the queue and the job directory are all there is."""

    @pytest.fixture
    def client(self, plain: Cluster, connect: Callable[..., Client]) -> Client:
        """A client of the plain cluster."""
        return connect(plain)


class TestWithAccounting(SlurmContract):
    """22.05 with slurmdbd."""

    @pytest.fixture
    def client(self, accounted: Cluster, connect: Callable[..., Client]) -> Client:
        """A client of the accounted cluster."""
        return connect(accounted)
