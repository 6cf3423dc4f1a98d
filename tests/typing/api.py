"""What type checkers must make of the public surface: checked by mypy and pyright, never run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from typing_extensions import assert_type

import gpujobs
from gpujobs import Client, Gpu, GpuJob, GpuService, Job, Port, Probe, Ref, Secret, Service, State, Status, Volume
from gpujobs.aio import AsyncClient
from gpujobs.results import Capacity, ExecResult, Explanation, LogLine, ReplicaStatus

if TYPE_CHECKING:
    from gpujobs.backend import Backend
    from gpujobs.testing import MemoryBackend


def models() -> None:
    """Every spelling that the models take."""
    GpuJob(command=["train"], gpus=1, memory="16GiB", time_limit=timedelta(hours=2), secrets="TOKEN", after=[])
    GpuJob(command="train", gpus="h100:2", time_limit="2h", env={"A": "1"}, volumes=["pvc=m:/m"], files={"f": b""})
    GpuJob(script="echo", gpus=Gpu(2, type="h100", sharing="shard"), secrets=[Secret("T", env="U")], cpus=0.5)
    GpuService(command=["serve"], name="s", replicas=2, ports=8000, readiness="/health", gpus=Gpu(profile="1g.10gb"))
    GpuService(command=["serve"], ports=[Port(80, name="http")], liveness=Probe(tcp=True), volumes=Volume("/m"))
    GpuJob(command=["train"], gpu=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    GpuJob(command=["train"], replicas=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Gpu(1, sharing="sometimes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(GpuJob(command=["x"]).replace(nodes=2), GpuJob)


def functions(ref: Ref) -> None:
    """A job comes back for a job, a service for a service, one status for one ref, many for many."""
    assert_type(gpujobs.submit(GpuJob(command=["x"])), Job)
    assert_type(gpujobs.submit(["nvidia-smi"], gpus=1, target="lab"), Job)
    assert_type(gpujobs.submit(GpuService(command=["x"], name="s")), Service)
    gpujobs.submit(GpuJob(command=["x"]), gpus=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert_type(gpujobs.submit_many([GpuJob(command=["x"])]), list[Job | Service])
    assert_type(gpujobs.attach("slurm://lab/1"), Job | Service)
    assert_type(gpujobs.status("slurm://lab/1"), Status)
    assert_type(gpujobs.status(ref), Status)
    assert_type(gpujobs.status([ref, "slurm://lab/1"]), list[Status])
    assert_type(gpujobs.wait(ref, timeout=1.5), Status)
    assert_type(gpujobs.wait([ref], until="first"), list[Status])
    assert_type(gpujobs.list_jobs(states=[State.RUNNING]), list[Status])
    assert_type(gpujobs.render(GpuJob(command=["x"]), "lab"), str)
    assert_type(gpujobs.capacity(), Capacity)
    assert_type(gpujobs.explain(ref), Explanation)
    assert_type(next(iter(gpujobs.logs(ref, follow=True))), LogLine)


def methods(job: Job, service: Service) -> None:
    """The verbs on what was submitted."""
    assert_type(job.wait(timeout=600).raise_for_state(), Status)
    assert_type(job.ref, Ref)
    assert_type(job.replicas(), list[ReplicaStatus])
    assert_type(next(job.logs(follow=True)), LogLine)
    assert_type(next(job.log_bytes(follow=True)), bytes | LogLine)
    assert_type(job.exec(["nvidia-smi"]), ExecResult)
    assert_type(service.wait_ready(timeout=300), Status)
    assert_type(service.endpoints(), list[str])
    job.scale(2)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    with service.forward(8000) as port, Client() as client:
        assert_type(port, int)
        assert_type(client.status(job), Status)
        assert_type(client.status([job, service]), list[Status])
        assert_type(client.submit(GpuService(command=["x"], name="s")), Service)


async def awaitables(job: Job) -> None:
    """The awaitable skin."""
    async with AsyncClient() as client:
        assert_type(await client.wait(job, timeout=3), Status)
        assert_type([line async for line in client.logs(job)], list[LogLine])


def contract(backend: MemoryBackend) -> Backend:
    """The in-memory backend is a Backend by its shape."""
    return backend
