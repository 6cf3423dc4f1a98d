"""The contract that every backend keeps, on a real cluster with real pods."""

from __future__ import annotations

import pytest

from gpujobs import Client, GpuJob
from gpujobs.testing.contract import BackendContract

pytestmark = pytest.mark.kubernetes


class TestKubernetes(BackendContract):
    """Each test has a namespace of its own."""

    target = "k"

    @pytest.fixture
    def client(self, client: Client) -> Client:
        """The client of the test bed."""
        return client

    def unsupported(self) -> tuple[str, GpuJob] | None:
        """Accounts are Slurm's."""
        return "account", GpuJob(command=["true"], account="ml")
