"""Slurm with GRES and shards on a real GPU, through gpujobs: needs a cluster that ``sinfo`` finds."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config, Gpu, GpuJob, Reason, State

from .waiting import says, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of the cluster that this machine's Slurm commands reach."""
    try:
        subprocess.run(["sinfo"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no Slurm cluster answers here")
    config = Config.parse(f'[targets.slurm]\nbackend = "slurm"\njob_dir = "{tmp_path / "jobs"}"\n')
    with Client(config, state_dir=tmp_path / "state") as client:
        yield client


def test_the_example_runs(client: Client, examples: Path, gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``examples/nvidia_smi.py --target slurm`` shows the GPU."""
    assert client.capacity("slurm").total >= 1
    monkeypatch.delenv("GPUJOBS_CONFIG", raising=False)
    ran = subprocess.run(
        [sys.executable, examples / "nvidia_smi.py", "--target", "slurm"], capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert gpus[0] in ran.stdout.splitlines()


def test_two_jobs_for_one_gpu_are_explained(client: Client, gpus: list[str]) -> None:
    """The second waits for the first, with numbers, and then runs."""
    first = client.submit(["sleep", "600"], gpus=len(gpus), target="slurm", grace=1)
    until(lambda: first.status().state is State.RUNNING)
    second = client.submit(["nvidia-smi", "-L"], gpus=len(gpus), target="slurm")
    until(lambda: (reason := second.status().reason) is not None and reason.code is not Reason.QUEUED)

    explained = f"{second.explain()} {' '.join(second.explain().details)}"
    assert second.status().state is State.PENDING
    assert "GPU" in explained
    sys.stdout.write(f"explain: {explained}\n")
    first.cancel()
    assert second.wait(timeout=90).succeeded


def test_four_shards_compute_at_once(client: Client, compute: list[str]) -> None:
    """Four jobs of one shard each run side by side on one GPU; a fifth waits."""
    jobs = [
        client.submit(GpuJob(command=[*compute, "0.5", "600"], gpus=Gpu(1, sharing="shard"), grace=1), target="slurm")
        for _ in range(4)
    ]
    for job in jobs:
        until(says(job, "computing"))
    fifth = client.submit(GpuJob(command=["true"], gpus=Gpu(1, sharing="shard")), target="slurm")

    assert {s.state for s in client.status(jobs)} == {State.RUNNING}
    assert fifth.status().state is State.PENDING
    client.cancel([*jobs, fifth])
    client.wait([*jobs, fifth], timeout=90)


def test_a_job_without_a_gpu_sees_none(client: Client, compute: list[str]) -> None:
    """CUDA finds no device where none was asked for."""
    job = client.submit([*compute, "0.1", "1"], target="slurm")

    assert job.wait(timeout=90).exit_code == 1
    assert any("CUDA error" in line.text for line in job.logs())


def test_an_exit_and_an_oom_of_the_gpu_are_told(client: Client, compute: list[str]) -> None:
    """Too much GPU memory is the program's own failure, and its last words are in the explanation."""
    job = client.submit([*compute, "2000", "1"], gpus=1, target="slurm")

    assert job.wait(timeout=90).exit_code == 1
    assert "cuMemAlloc: CUDA error 2" in " ".join(job.explain().details)
