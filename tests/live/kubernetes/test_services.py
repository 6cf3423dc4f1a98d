"""Services on a real cluster: the lesson's two Deployments as gpujobs calls, and what can happen to them."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from gpujobs import (
    Client,
    ConflictError,
    Gpu,
    GpuService,
    Port,
    Probe,
    Reason,
    RejectedError,
    State,
    Volume,
    WaitTimeoutError,
)

if TYPE_CHECKING:
    from tests.live.kubernetes.conftest import Bed

pytestmark = pytest.mark.kubernetes
PYTHON = "gpujobs-testbed/python:1"
SMI = "echo started on $HOSTNAME; nvidia-smi -L; exec sleep 3600"
SERVE = ["python3", "-u", "-m", "http.server", "8002"]


def smi(**fields: object) -> GpuService:
    """The lesson's nvidia-smi Deployment: four copies that share one GPU."""
    given = {"replicas": 4, "gpus": Gpu(1, sharing="time-slice"), "grace": 1, **fields}
    return GpuService.model_validate({"name": "nvidia-smi-test", "command": ["sh", "-c", SMI], **given})


def get(address: str) -> str:
    """What an HTTP server says; a NodePort answers a moment after its pods are ready."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=10) as reply:
                text: str = reply.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return text


def test_four_copies_share_one_gpu(client: Client, bed: Bed) -> None:
    """All run at once with the same UUID; logs, exec, restart and a fifth copy that waits are told truthfully."""
    service = client.submit(smi())
    status = service.wait_ready(timeout=120)
    assert (status.state, status.replicas.ready, status.nodes) == (State.RUNNING, 4, ("node2",))

    lines = [line for line in service.logs() if "UUID" in line.text]
    assert sorted(line.replica for line in lines) == [0, 1, 2, 3]
    assert len({line.text for line in lines}) == 1
    assert [r.node for r in service.replicas()] == ["node2"] * 4
    result = service.exec(["sh", "-c", "nvidia-smi -L; cat; exit 5"], replica=2, stdin=b"given")
    assert (result.exit_code, result.stdout.endswith(b"given")) == (5, True)
    assert any("not isolated" in detail for detail in service.explain().details)

    service.scale(5)
    bed.until(lambda: (cause := service.status().reason) and cause.code is Reason.INSUFFICIENT_GPU)
    with pytest.raises(WaitTimeoutError, match=r"nvidia.com/gpu"):
        service.wait_ready(timeout=2)
    told = service.explain()
    assert "0 of 4 are free" in str(told)
    assert any(detail.startswith("node2 (Tesla-T4-SHARED): 0 of 4") for detail in told.details)


def test_a_restart_with_no_free_gpu_ends(client: Client) -> None:
    """Copies are replaced in place; when it is over no old one is left."""
    service = client.submit(smi())
    service.wait_ready(timeout=120)
    before = {r.name for r in service.replicas()}
    service.restart()
    status = service.wait_ready(timeout=120)

    after = {r.name for r in service.replicas()}
    assert (len(after), before & after, status.replicas.outdated) == (4, set(), 0)


def test_a_server_answers_through_every_door(client: Client, bed: Bed) -> None:
    """The lesson's vLLM Deployment, served by a small HTTP server: NodePort, forward, probes, a host's directory."""
    taken = ("get", "services", "--all-namespaces", "-o", "jsonpath={.items[*].spec.ports[*].nodePort}")
    bed.until(lambda: "30080" not in bed.kubectl(*taken))  # a first try of this test may be under removal
    service = client.submit(
        GpuService(
            name="vllm-cluster",
            image=PYTHON,
            command=SERVE,
            replicas=2,
            gpus=1,
            ports=[Port(8000, target_port=8002, node_port=30080, name="http")],
            readiness=Probe("/", port=8002, period=1),
            liveness=Probe(tcp=True),
            startup=Probe(exec=["true"], period=1),
            volumes=[Volume("/models", host="/usr/share")],
            expose="node-port",
            grace=1,
        )
    )
    status = service.wait_ready(timeout=120)
    assert status.replicas.ready == 2

    endpoints = service.endpoints()
    assert all(endpoint.endswith(":30080") for endpoint in endpoints)
    assert "Directory listing" in get(endpoints[0])
    with client.forward(service, 8000) as port:
        assert "Directory listing" in get(f"127.0.0.1:{port}")
    assert service.exec(["ls", "/models"]).stdout
    assert any('"GET / HTTP' in line.text for line in service.logs())


def test_another_definition_is_a_conflict_until_it_is_rolled_out(client: Client, bed: Bed) -> None:
    """The same name with another definition is refused; update replaces it, Service included."""
    first = GpuService(name="web", image=PYTHON, command=SERVE, ports=[8002], readiness=Probe("/", period=1), grace=1)
    second = first.replace(command=("python3", "-u", "-m", "http.server", "8003"), ports=(8003,), files={"a": "b"})
    service = client.submit(first)
    service.wait_ready(timeout=120)

    assert client.submit(first).ref == service.ref
    with pytest.raises(ConflictError, match="update"):
        client.submit(second)
    service.update(second)
    service.wait_ready(timeout=120)
    fetch = ["wget", "-qO-", f"http://{service.endpoints()[0]}/"]
    bed.until(lambda: service.exec(fetch).exit_code == 0)  # the nodes learn of the new port a moment later
    assert service.exec(["sh", "-c", "cat $GPUJOBS_FILES/a"]).stdout == b"b"
    assert client.submit(second).ref == service.ref


def test_scaling_to_none_suspends_and_cancelling_is_final(client: Client) -> None:
    """0 copies are SUSPENDED; a cancelled service keeps its name until it is deleted."""
    service = client.submit(GpuService(name="Ä name / with $(x)", command=["sleep", "600"], replicas=2, grace=1))
    service.wait_ready(timeout=120)
    service.scale(0)
    assert service.status().state is State.SUSPENDED
    service.scale(1)
    assert service.wait_ready(timeout=120).replicas.wanted == 1
    service.cancel()
    assert service.wait(timeout=60).state is State.CANCELLED

    with pytest.raises(RejectedError, match="cancelled"):
        service.scale(1)
    assert [s.name for s in client.list_jobs(finished=True)] == ["Ä name / with $(x)"]
    service.delete()
    assert service.status().state is State.LOST


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"image": "no-such-image:1", "image_pull_policy": "Never"}, Reason.IMAGE_PULL),
        ({"command": ["sh", "-c", "exit 3"]}, Reason.CRASH_LOOP),
        ({"service_account": "no-such-account"}, Reason.CONFIG),
        ({"ports": [9], "readiness": Probe(tcp=True, period=1)}, Reason.NOT_READY),
    ],
)
def test_why_a_service_is_not_ready(client: Client, fields: dict[str, object], reason: Reason) -> None:
    """Each way of never being ready is told by its reason."""
    service = client.submit(
        GpuService.model_validate({"name": "stuck", "command": ["sleep", "9"], "grace": 1, **fields})
    )

    def told() -> Reason | None:
        cause = service.status().reason
        return cause.code if cause else None

    deadline = client.clock.monotonic() + 120
    while told() is not reason:
        assert client.clock.monotonic() < deadline, service.status()
        client.clock.sleep(0.3)


def test_copies_that_restart_keep_the_log_of_before(client: Client, bed: Bed, namespace: str) -> None:
    """The attempt before is read too, told apart from the one now; a headless Service gives each copy's address."""
    script = "echo run; [ -e /keep/x ] && exec sleep 600; touch /keep/x; exit 1"
    service = client.submit(
        GpuService(
            name="twice",
            command=["sh", "-c", script],
            volumes=[Volume("/keep", empty=True)],
            ports=[7],
            expose="headless",
            grace=1,
        )
    )
    service.wait_ready(timeout=120)
    bed.until(lambda: service.status().attempt == 1)

    bed.until(lambda: [(line.text, line.attempt) for line in service.logs()] == [("run", 0), ("run", 1)])
    address = bed.kubectl("-n", namespace, "get", "pods", "-o", "jsonpath={.items[0].status.podIP}")
    bed.until(lambda: service.endpoints() == [f"{address}:7"])
