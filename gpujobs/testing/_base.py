"""What all parts of the contract share: how to make a job, run it and read its log."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from gpujobs import (
    GpuJob,
    State,
)

if TYPE_CHECKING:
    from gpujobs import Client, Job, Status


class ContractBase:
    """Hooks to override, and helpers."""

    target: ClassVar[str]
    """The name of the target in the client's configuration."""
    patience: ClassVar[float] = 180.0
    """Seconds in which a small job must end; where Slurm is not told otherwise, a requeued one waits 121 of them."""
    time_limit: ClassVar[timedelta] = timedelta(seconds=2)
    """The shortest time limit the system honours."""

    @pytest.fixture
    def client(self) -> Client:
        """The client under test."""
        raise NotImplementedError("give the fixture `client` in your subclass")

    def job(self, script: str, *args: str, **fields: Any) -> GpuJob:
        """A job that runs a line of ``sh``; ``args`` are its ``$1``..."""
        return GpuJob(command=["sh", "-c", script, "sh", *args], **fields)

    def sleeper(self, **fields: Any) -> GpuJob:
        """A job that runs until it is ended, and ends on TERM."""
        return self.job("exec sleep 600", **fields)

    def run(self, client: Client, spec: GpuJob) -> tuple[Job, Status]:
        """Submit and wait for the end."""
        job = client.submit(spec, target=self.target)
        return job, job.wait(timeout=self.patience)

    def until(self, client: Client, job: Job, state: State) -> Status:
        """Wait until a job is in a state that is not final."""
        deadline = client.clock.monotonic() + self.patience
        while (status := job.status()).state is not state:
            assert not status.final, f"{status} ended before it was {state}"
            assert client.clock.monotonic() < deadline, f"{status} never was {state}"
            client.clock.sleep(0.2)
        return status

    def text(self, job: Job, **query: Any) -> list[str]:
        """The lines of a job's log."""
        return [line.text for line in job.logs(**query) if not line.gap]

    def raw(self, job: Job, **query: Any) -> bytes:
        """The bytes of a job's log."""
        pieces = list(job.log_bytes(**query))
        assert all(piece.gap for piece in pieces if not isinstance(piece, bytes)), "a line among the bytes"
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))
