"""The local backend on a real GPU: found, handed out to one, shared when asked, and never handed out too early."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpujobs import Gpu, GpuJob, PreflightError, Reason, State

from .waiting import says, until

if TYPE_CHECKING:
    from gpujobs import Client

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("gpus")]


def test_a_gpu_is_found_and_seen_by_the_job(client: Client, gpus: list[str]) -> None:
    """Capacity counts what nvidia-smi lists, and a job sees the GPU it was given."""
    capacity = client.capacity()
    job = client.submit(["nvidia-smi", "-L"], gpus=1)
    status = job.wait(timeout=60)

    assert (capacity.total, capacity.free) == (len(gpus), len(gpus))
    assert status.succeeded, job.explain()
    assert next(iter(job.logs())).text in gpus


def test_a_type_and_a_memory_floor_match_the_product(client: Client, gpus: list[str]) -> None:
    """A word of the product's name is a type; what is not there is refused with what is."""
    product = gpus[0].split(": ")[1].split(" (")[0]
    word = product.split()[1].lower()

    assert client.submit(["true"], gpus=word).wait(timeout=60).succeeded
    assert client.submit(["true"], gpus=Gpu(1, memory="1GiB")).wait(timeout=60).succeeded
    with pytest.raises(PreflightError, match="a9999") as caught:
        client.submit(["true"], gpus="a9999")
    assert product in caught.value.next_step


def test_a_job_without_gpus_sees_none(client: Client, compute: list[str]) -> None:
    """CUDA itself finds no device (error 100)."""
    job = client.submit([*compute, "0.1", "1"])
    status = job.wait(timeout=60)

    assert status.exit_code == 1
    assert any("CUDA error 100" in line.text for line in job.logs())


def test_all_gpus_in_use_keep_the_next_job_waiting(client: Client, gpus: list[str]) -> None:
    """One holder at a time, with the reason and the holder's name; then its turn comes."""
    first = client.submit(["sleep", "600"], gpus=len(gpus), grace=1)
    second = client.submit(["nvidia-smi", "-L"], gpus=1)
    until(lambda: first.status().state is State.RUNNING)

    status = second.status()
    assert status.state is State.PENDING
    assert status.reason is not None
    assert status.reason.code is Reason.INSUFFICIENT_GPU
    assert str(first.ref) in " ".join(second.explain().details)
    first.cancel()
    assert second.wait(timeout=60).succeeded


def test_four_time_sliced_jobs_compute_on_one_gpu_at_once(client: Client, compute: list[str], gpus: list[str]) -> None:
    """All of them run, and a fifth for each GPU waits."""
    jobs = [
        client.submit(GpuJob(command=[*compute, "0.5", "600"], gpus=Gpu(1, sharing="time-slice"), grace=1))
        for _ in range(4 * len(gpus))
    ]
    for job in jobs:
        until(says(job, "computing"))
    extra = client.submit(["true"], gpus=Gpu(1, sharing="time-slice"))

    assert {s.state for s in client.status(jobs)} == {State.RUNNING}
    assert extra.status().state is State.PENDING
    client.cancel(jobs)
    assert extra.wait(timeout=60).succeeded


def test_a_gpu_that_somebody_else_computes_on_is_left_alone(
    client: Client, compute: list[str], gpus: list[str]
) -> None:
    """The job waits, explain names the process, and it runs once that is gone."""
    if len(gpus) > 1:
        pytest.skip("the stranger takes one GPU; another would be free")
    with subprocess.Popen([*compute, "0.5", "600"], stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == b"computing\n"
        job = client.submit(["true"], gpus=1)
        time.sleep(2)

        assert job.status().state is State.PENDING
        assert str(stranger.pid) in " ".join(job.explain().details)
        stranger.kill()
    assert job.wait(timeout=60).succeeded


def test_a_killed_supervisor_frees_its_gpu_only_with_its_processes(
    client: Client, compute: list[str], gpus: list[str], tmp_path: Path
) -> None:
    """The lock is free at once, but the next job starts only when nothing of the last one computes any more."""
    stubborn = f"trap '' TERM; {' '.join(compute)} 0.5 600 & wait; wait; wait; sleep 600"
    first = client.submit(["sh", "-c", stubborn], gpus=len(gpus), grace=3)
    until(says(first, "computing"))
    second = client.submit(
        ["sh", "-c", f"nvidia-smi --query-compute-apps=pid --format=csv,noheader > {tmp_path}/seen"], gpus=1
    )
    for pid in (int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()):
        if _is_supervisor(pid, tmp_path):
            os.kill(pid, signal.SIGKILL)

    assert second.wait(timeout=60).succeeded
    assert (tmp_path / "seen").read_text() == ""
    assert first.status().state in {State.FAILED, State.LOST}


def _is_supervisor(pid: int, state: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"_supervisor" in command and str(state).encode() in command


def test_too_little_gpu_memory_is_told_from_the_log(client: Client, compute: list[str]) -> None:
    """The program fails as it does, and the explanation holds its last words."""
    job = client.submit([*compute, "2000", "1"], gpus=1)

    assert job.wait(timeout=60).exit_code == 1
    assert "cuMemAlloc: CUDA error 2" in " ".join(job.explain().details)


def test_hidden_gpus_are_not_handed_out(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What CUDA_VISIBLE_DEVICES hides from the caller is not there for its jobs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    with pytest.raises(PreflightError):
        client.submit(["true"], gpus=1)
