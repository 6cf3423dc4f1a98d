"""Kubernetes on a real, time-sliced GPU, through gpujobs.

Needs a KUBECONFIG whose cluster offers one GPU several times, and in GPUJOBS_GPU_IMAGE an image on its nodes with
``sh``; with GPUJOBS_GPU_PYTHON (an interpreter in that image) and torch below /opt on the node, torch runs too.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config, GpuJob, GpuService, State, Volume, WaitTimeoutError

from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)
UUID = re.compile(r"UUID: (GPU-[0-9a-f-]+)")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of the current context, with the image as its default."""
    if not os.environ.get("KUBECONFIG") or not os.environ.get("GPUJOBS_GPU_IMAGE"):
        pytest.skip("KUBECONFIG and GPUJOBS_GPU_IMAGE name no cluster and image")
    config = Config.parse(
        '[targets.kubernetes]\nbackend = "kubernetes"\n[targets.kubernetes.defaults]\n'
        f'image = "{os.environ["GPUJOBS_GPU_IMAGE"]}"\nimage_pull_policy = "Never"\n'
    )
    with Client(config, state_dir=tmp_path) as client:
        yield client


def test_four_replicas_share_one_gpu(client: Client, gpus: list[str]) -> None:
    """The lesson's Deployment: ready, logs, exec, one UUID; a fifth replica is explained; restart."""
    spec = GpuService(name="nvidia-smi-test", command=["sh", "-c", "nvidia-smi -L; sleep 3600"], replicas=4, gpus=1)
    service = client.submit(spec.replace(grace=1), target="kubernetes")
    try:
        status = service.wait_ready(timeout=90)
        lines = [line for line in service.logs() if not line.gap]

        assert status.replicas.ready == 4
        assert {line.replica for line in lines} == {0, 1, 2, 3}
        assert {UUID.findall(line.text)[0] for line in lines} == {UUID.findall(gpus[0])[0]}
        ran = service.exec(["nvidia-smi", "-L"], replica=2)
        assert (ran.exit_code, ran.stdout.decode().strip()) == (0, gpus[0])
        _a_fifth_waits(client, service.ref.id)
        service.scale(4)
        service.restart()
        assert service.wait_ready(timeout=120).replicas.ready == 4
    finally:
        service.delete()


def _a_fifth_waits(client: Client, ref_id: str) -> None:
    service = client.attach(f"kubernetes://kubernetes/{ref_id}")
    client.scale(service, 5)
    with pytest.raises(WaitTimeoutError) as caught:
        client.wait_ready(service, timeout=10)

    explained = client.explain(service)
    print("fifth:", caught.value, explained, *explained.details, sep="\n  ")  # noqa: T201  # for the guide
    assert "nvidia.com/gpu" in f"{explained} {explained.details}" or "GPU" in str(explained)


def test_a_job_without_a_gpu_sees_none(client: Client) -> None:
    """No device is in its container."""
    job = client.submit(["sh", "-c", "ls /dev | grep -c nvidia"], target="kubernetes")

    assert job.wait(timeout=90).exit_code == 1
    assert [line.text for line in job.logs()] == ["0"]
    job.delete()


def test_a_torch_job_computes(client: Client) -> None:
    """A real computation, with torch from the node."""
    python = os.environ.get("GPUJOBS_GPU_PYTHON")
    if not python:
        pytest.skip("GPUJOBS_GPU_PYTHON names no interpreter")
    program = "import torch; a = torch.ones(4096, 4096, device='cuda'); print((a @ a).sum().item() == 4096.0 ** 3)"
    spec = GpuJob(
        command=[python, "-c", program],
        gpus=1,
        memory="8GiB",
        volumes=[Volume("/opt", host="/opt", read_only=True)],
        env={"PYTHONPATH": os.environ.get("GPUJOBS_GPU_PYTHONPATH", "")},
    )
    job = client.submit(spec, target="kubernetes")
    status = job.wait(timeout=150)

    assert status.state is State.SUCCEEDED, job.explain()
    assert [line.text for line in job.logs()] == ["True"]
    until(lambda: client.capacity("kubernetes").free > 0)
    job.delete()
