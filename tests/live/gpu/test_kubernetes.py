"""A real, time-sliced GPU in a cluster, through gpujobs: four copies on one GPU, a fifth explained, torch, its memory.

The cluster is the one of ``KUBECONFIG`` (its current context), with one GPU that is offered several times. Settings:

- ``GPUJOBS_GPU_IMAGE``: an image with ``sh``; without it nothing here runs. The driver comes from NVIDIA's runtime.
- ``GPUJOBS_GPU_TORCH_IMAGE``: one with Python and torch (the same, if not given); ``GPUJOBS_GPU_PYTHON``: its Python
  (``python3``); ``GPUJOBS_GPU_TORCH_PATH``: a directory of the node that holds torch, mounted at the same path.
- ``GPUJOBS_GPU_PULL``: the pull policy (``IfNotPresent``), ``GPUJOBS_GPU_NAMESPACE`` (``default``),
  ``GPUJOBS_GPU_COPIES``: how often the GPU is offered (4), ``GPUJOBS_GPU_OUT``: where what a user sees is written to.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Client, Config, GpuJob, GpuService, Reason, Service, State, Volume, WaitTimeoutError

from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs import Job

pytestmark = pytest.mark.timeout(240)
NAME = "nvidia-smi-test"
MARK = {"test": "gpujobs-gpu"}
COPIES = int(os.environ.get("GPUJOBS_GPU_COPIES", "4"))
UUID = re.compile(r"GPU-[0-9a-f-]{36}")
SMI = 'hostname; nvidia-smi -L; env | grep -E "NVIDIA|CUDA"; exec sleep 3600'
MULTIPLY = """\
import sys, time, torch
p = torch.cuda.get_device_properties(0)
print("device", p.name, f"uuid GPU-{p.uuid}", f"memory {p.total_memory >> 20} MiB", flush=True)
a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in "ab")
exact = a[:64].double() @ b.double()
error = float(((a @ b)[:64].double() - exact).norm() / exact.norm())
torch.cuda.synchronize(); begun = time.time(); products = 0
while time.time() - begun < 3:
    for _ in range(10): a @ b
    products += 10; torch.cuda.synchronize()
speed = 2 * 8192**3 * products / (time.time() - begun) / 1e12
print(f"relative error {error:.1e}, {products} products, {speed:.0f} TFLOP/s", flush=True)
sys.exit(error > 0.01)
"""
TOO_MUCH = 'import torch; torch.empty(2000 << 30, dtype=torch.uint8, device="cuda")'


def setting(name: str, default: str = "") -> str:
    """One of the settings above."""
    return os.environ.get(f"GPUJOBS_GPU_{name}") or default


@pytest.fixture(scope="module")
def config() -> str:
    """The configuration of the target ``gpu``."""
    if not setting("IMAGE"):
        pytest.skip("GPUJOBS_GPU_IMAGE names no image: no GPU cluster to run on is given")
    defaults = {"image": setting("IMAGE"), "image_pull_policy": setting("PULL", "IfNotPresent")}
    lines = ['default = "gpu"', "[targets.gpu]", 'backend = "kubernetes"']
    lines += [f'namespace = "{setting("NAMESPACE", "default")}"', "[targets.gpu.defaults]"]
    return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in defaults.items())])


@pytest.fixture(scope="module")
def cluster(config: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of the cluster; what this run leaves, or an earlier one has left, is removed."""
    with Client(Config.parse(config), state_dir=tmp_path_factory.mktemp("state")) as client:
        clear(client)
        yield client
        clear(client)


def clear(client: Client) -> None:
    """End and remove every workload of these tests."""
    left = client.list_jobs(finished=True, labels=MARK)
    client.cancel(s.ref for s in left)
    client.wait((s.ref for s in left), timeout=60)
    client.delete(s.ref for s in left)
    until(lambda: not client.list_jobs(finished=True, labels=MARK))


class Book:
    """Keeps what a person sees at a terminal, a file for each chapter."""

    def __init__(self, config: str, folder: Path, scratch: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (scratch / "gpujobs.toml").write_text(config)
        self._folder = folder
        self._env = {**os.environ, "GPUJOBS_CONFIG": str(scratch / "gpujobs.toml"), "GPUJOBS_STATE_DIR": str(scratch)}
        self._begun: set[str] = set()

    def run(self, chapter: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``gpujobs WORDS`` and write down what it printed."""
        command = [sys.executable, "-m", "gpujobs.cli", *words]
        ran = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False, timeout=120)
        with (self._folder / f"{chapter}.txt").open("a" if chapter in self._begun else "w") as file:
            file.write(f"$ {shlex.join(['gpujobs', *words])}\n{ran.stdout}{ran.stderr}")
        self._begun.add(chapter)
        return ran


@pytest.fixture(scope="module")
def book(config: str, tmp_path_factory: pytest.TempPathFactory) -> Book:
    """Where outputs are kept."""
    scratch = tmp_path_factory.mktemp("book")
    return Book(config, Path(setting("OUT") or scratch / "outputs"), scratch)


@pytest.fixture(scope="module")
def service(cluster: Client) -> Service:
    """The nvidia-smi service, a copy for each time that the GPU is offered, ready."""
    made = cluster.submit(
        GpuService(name=NAME, command=["sh", "-c", SMI], replicas=COPIES, gpus=1, grace=1, labels=MARK)
    )
    made.wait_ready(timeout=120)
    return made


def uuids(service: Service) -> list[str]:
    """The UUIDs that its copies wrote, one for each line that has one."""
    return [found for line in service.logs() for found in UUID.findall(line.text) if line.text.startswith("GPU ")]


def torch_job(program: str, **fields: Any) -> GpuJob:
    """A job that runs a program with torch on one GPU."""
    host = setting("TORCH_PATH")
    return GpuJob(
        command=[*shlex.split(setting("PYTHON", "python3")), "-c", program],
        image=setting("TORCH_IMAGE", setting("IMAGE")),
        gpus=1,
        memory="8GiB",
        grace=1,
        labels=MARK,
        volumes=[Volume(host, host=host, read_only=True)] if host else [],
        **fields,
    )


def told(job: Job) -> str:
    """What there is to say of a job that has ended."""
    return "\n".join([str(job.explain()), *job.explain().details, *(line.text for line in job.logs())])


def test_all_copies_run_on_one_gpu(service: Service, book: Book) -> None:
    """Each wrote the same UUID; node and state of each copy are told."""
    until(lambda: len(uuids(service)) == COPIES)
    lines = list(service.logs())
    replicas = service.replicas()
    for words in (
        ["status", str(service.ref)],
        ["logs", str(service.ref)],
        ["explain", str(service.ref)],
        ["capacity"],
    ):
        assert book.run("service", *words).returncode == 0

    assert len(set(uuids(service))) == 1
    assert sorted({line.replica for line in lines if line.text.startswith("GPU ")}) == list(range(COPIES))
    assert [r.state for r in replicas] == [State.RUNNING] * COPIES
    assert len({r.node for r in replicas}) == 1


def test_a_command_inside_a_copy_sees_that_gpu(service: Service, book: Book) -> None:
    """With its own output and exit code."""
    shown = service.exec(["nvidia-smi"], replica=COPIES - 1)
    query = service.exec(["nvidia-smi", "--query-gpu=name,uuid,memory.total", "--format=csv"], replica=0)
    copy = ["exec", str(service.ref), "--replica", "0", "--"]
    assert book.run("exec", *copy, "nvidia-smi").returncode == 0
    assert book.run("exec", *copy, "nvidia-smi", "-L").stdout.startswith("GPU 0: ")

    assert (shown.exit_code, query.exit_code) == (0, 0)
    assert b"NVIDIA-SMI" in shown.stdout
    assert UUID.findall(query.stdout.decode()) == uuids(service)[:1]
    assert service.exec(["sh", "-c", "exit 5"]).exit_code == 5


def test_one_copy_too_many_is_explained(service: Service, book: Book) -> None:
    """It waits, with the numbers, while the others run; without it all are ready again."""
    service.scale(COPIES + 1)
    with pytest.raises(WaitTimeoutError) as caught:
        service.wait_ready(timeout=10)
    told = service.explain()
    for words in (["status", str(service.ref)], ["explain", str(service.ref)], ["capacity"]):
        assert book.run("one-too-many", *words).returncode == 0

    assert "nvidia.com/gpu" in str(caught.value)
    assert f"0 of {COPIES} are free" in str(told)
    status = service.status()
    assert status.reason is not None
    assert (status.reason.code, status.replicas.ready) == (Reason.INSUFFICIENT_GPU, COPIES)
    service.scale(COPIES)
    assert service.wait_ready(timeout=60).replicas.ready == COPIES


def test_a_restart_replaces_every_copy_in_place(service: Service, book: Book) -> None:
    """No GPU is free meanwhile, and yet it ends."""
    before = {replica.name for replica in service.replicas()}
    assert book.run("restart", "restart", str(service.ref)).returncode == 0
    assert book.run("restart", "wait", "--ready", str(service.ref), "--timeout", "2m").returncode == 0
    after = {replica.name for replica in service.replicas()}

    assert (len(after), before & after) == (COPIES, set())


def test_torch_computes(cluster: Client, service: Service, book: Book) -> None:
    """Beside the copies of the service once one of them has made room; the right numbers, on the same GPU."""
    service.scale(COPIES - 1)
    job = cluster.submit(torch_job(MULTIPLY, name="matmul"))
    status = job.wait(timeout=150)
    for verb in ("status", "logs", "explain"):
        book.run("torch", verb, str(job.ref))

    assert status.succeeded, told(job)
    log = "\n".join(line.text for line in job.logs())
    assert UUID.findall(log) == list(set(uuids(service)))
    assert "TFLOP/s" in log


def test_too_much_gpu_memory_is_told_by_the_program(cluster: Client, service: Service, book: Book) -> None:
    """The job fails as its program does, and the explanation has its last words."""
    service.scale(COPIES - 1)
    job = cluster.submit(torch_job(TOO_MUCH, name="too-much"))
    status = job.wait(timeout=150)
    for verb in ("status", "explain"):
        book.run("out-of-gpu-memory", verb, str(job.ref))

    assert (status.state, status.exit_code) == (State.FAILED, 1), told(job)
    assert "out of memory" in " ".join(job.explain().details)


def test_a_job_without_a_gpu_sees_none(cluster: Client, book: Book) -> None:
    """No device, whatever the image and the node's runtime."""
    job = cluster.submit(GpuJob(command=["sh", "-c", "nvidia-smi -L; echo $?; ls /dev | grep nvidia"], labels=MARK))
    job.wait(timeout=60)
    book.run("no-gpu", "logs", str(job.ref))

    lines = [line.text for line in job.logs()]
    assert not [line for line in lines if line.startswith("GPU ") or line == "nvidia0"]
    assert "0" not in lines


def test_the_command_line_shows_the_gpu(service: Service, book: Book) -> None:
    """``gpujobs run`` prints what nvidia-smi prints, and exits as it does."""
    service.scale(COPIES - 1)
    ran = book.run("run", "run", "--gpus", "1", "--label", "test=gpujobs-gpu", "--", "nvidia-smi")

    assert ran.returncode == 0, ran.stderr
    assert "NVIDIA-SMI" in ran.stdout
    assert "SUCCEEDED" in ran.stderr
