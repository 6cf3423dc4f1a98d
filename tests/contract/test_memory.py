"""The in-memory backend keeps the contract; here its jobs really run ``sh``, on the manual clock."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config, GpuJob, UnsupportedError
from gpujobs.testing import MemoryBackend, Outcome
from gpujobs.testing.contract import CoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpujobs.backend import Submission


def really(item: Submission) -> Outcome:
    """Run the command now and report what it did; a sleeper sleeps on the manual clock instead."""
    if "exec sleep 600" in item.spec.command:
        return Outcome(seconds=600)
    done = subprocess.run(
        item.spec.command, env={"PATH": "/usr/bin:/bin", **item.spec.env}, stdout=subprocess.PIPE, check=False
    )
    return Outcome(done.returncode if done.returncode >= 0 else 128 - done.returncode, done.stdout, seconds=1)


class TestMemory(CoreContract):
    """The part of the contract that needs no real system."""

    target = "memory"

    @pytest.fixture
    def client(self, tmp_path: Path) -> Iterator[Client]:
        """A client of one memory backend."""
        backend = MemoryBackend.create(outcome=really)
        with Client(Config(), backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path) as client:
            yield client

    def test_what_it_cannot_do_is_refused_by_name(self, client: Client) -> None:
        """An array is no field of the memory backend."""
        with pytest.raises(UnsupportedError, match="array"):
            client.submit(GpuJob(command=["true"], array=2), target="memory")
