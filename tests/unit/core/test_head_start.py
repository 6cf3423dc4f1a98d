"""What a backend may begin with before the submissions of a call are ready."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Client, Config, GpuJob, GpuService, SpecError
from gpujobs.testing import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from gpujobs.backend import Submission, Submitted

JOB = GpuJob(command=["train"])


class Ready(MemoryBackend):
    """A memory backend that has something to start, and notes when."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.heard: list[str] = []

    @contextmanager
    def head_start(self) -> Generator[None]:
        """Note the beginning and the end."""
        self.heard.append("begin")
        try:
            yield
        finally:
            self.heard.append("end")

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """Note it."""
        self.heard.append(f"submit {len(items)}")
        return super().submit(items)


@pytest.fixture
def backend() -> Ready:
    """One that has heard nothing yet."""
    backend = Ready.create()
    assert isinstance(backend, Ready)
    return backend


@pytest.fixture
def client(backend: Ready, tmp_path: Path) -> Client:
    """A client of that backend alone."""
    return Client(Config(), backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path)


def test_it_begins_once_for_a_call(client: Client, backend: Ready) -> None:
    """However many come with it; for nothing, nothing begins."""
    client.submit_many([JOB, JOB])
    client.submit_many([])
    client.submit(JOB)

    assert backend.heard == ["begin", "submit 2", "end", "begin", "submit 1", "end"]


def test_it_does_not_begin_where_a_key_is_given(client: Client, backend: Ready) -> None:
    """The key may show that nothing is to be sent."""
    client.submit(JOB, idempotency_key="k")
    client.submit_many([JOB, JOB], idempotency_keys=["k", "l"])

    assert backend.heard == ["submit 1", "submit 2"]


def test_it_ends_where_nothing_is_submitted(client: Client, backend: Ready) -> None:
    """A workload that cannot be submitted is noticed after the beginning."""
    with pytest.raises(SpecError, match="needs a name"):
        client.submit(GpuService(command=["serve"]))

    assert backend.heard == ["begin", "end"]
