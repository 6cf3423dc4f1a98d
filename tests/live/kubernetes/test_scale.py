"""Thousands of jobs on hundreds of simulated nodes, waited for by one client."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, GpuJob, State, Toleration

from .counted import memory, quiet, served

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpujobs import Status
    from tests.live.kubernetes.conftest import Bed

pytestmark = [pytest.mark.kubernetes, pytest.mark.long, pytest.mark.timeout(3600, func_only=True)]
NODES, JOBS = 500, 5000
JOB = GpuJob(
    command=["true"],
    gpus=1,
    node_selector={"type": "kwok"},
    tolerations=[Toleration(key="kwok.x-k8s.io/node", operator="Exists")],
)


@pytest.fixture
def simulated(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """500 nodes of 8 GPUs, whose pods start and complete without processes."""
    monkeypatch.setenv("KLAB_EXTRAS", "kwok")
    bed.script("build.sh")
    bed.script("fake-nodes.sh", str(NODES), "8")
    yield
    bed.script("fake-nodes.sh", "0")


def test_thousands_of_jobs_are_waited_for_by_one_client(client: Client, bed: Bed, simulated: None) -> None:
    """Every end is seen, with less than one request a second and little memory."""
    most, rounds = 0, 0

    def look(_: Sequence[Status]) -> None:
        nonlocal most, rounds
        rounds += 1
        most = max(most, memory())

    client.submit(JOB).wait(timeout=300)
    idle, began = memory(), time.monotonic()
    jobs = client.submit_many([JOB] * JOBS)
    sent, before = time.monotonic(), quiet(bed)
    cpu = time.process_time()
    statuses = client.wait(jobs, timeout=3000, on_status=look)
    done = time.monotonic()
    cpu = time.process_time() - cpu
    asked = served(bed) - before

    sys.stdout.write(
        f"{JOBS} jobs: submitted in {sent - began:.0f} s, all ended {done - sent:.0f} s later after {rounds} rounds; "
        f"{cpu:.0f} s of CPU, {most - idle} MB over {idle} MB idle, requests while waiting {dict(asked)}\n"
    )
    assert [status.state for status in statuses] == [State.SUCCEEDED] * JOBS
    assert sum(asked.values()) <= done - sent
    assert most - idle <= 60
