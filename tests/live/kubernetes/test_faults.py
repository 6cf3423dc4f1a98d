"""What can happen to a cluster, happening: each told truthfully, with what to do next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import AuthError, Client, ConfigError, GpuJob, Reason, RejectedError, State, UnavailableError

from .conftest import UNTIL

if TYPE_CHECKING:
    from pathlib import Path

    from gpujobs import Job, Status
    from tests.live.kubernetes.conftest import Bed, Proxy

pytestmark = pytest.mark.kubernetes


def sh(script: str, **fields: Any) -> GpuJob:
    """A job that runs a line of sh."""
    return GpuJob.model_validate({"command": ["sh", "-c", script], "grace": 1, **fields})


def reason(status: Status) -> Reason | None:
    """Its code."""
    return status.reason.code if status.reason else None


def until(client: Client, job: Job, state: State, code: Reason | None, seconds: float = 120) -> Status:
    """Wait until a job stands so."""
    deadline = client.clock.monotonic() + seconds
    while (status := job.status()).state is not state or reason(status) is not code:
        assert client.clock.monotonic() < deadline, status
        client.clock.sleep(0.2)
    return status


def test_an_evicted_pod_is_replaced_without_using_up_retries(client: Client, bed: Bed, namespace: str) -> None:
    """Eviction is not the job's fault: it goes on as the next attempt; with requeue=False it is the end."""
    told = 'echo "$GPUJOBS_ATTEMPT.$GPUJOBS_DISRUPTIONS"; exec sleep 600'
    job = client.submit(sh(told, requeue=True, setup=["test $GPUJOBS_ATTEMPT != 9"]))
    plain = client.submit(sh(told, requeue=True))
    final = client.submit(sh("exec sleep 600", requeue=False))
    for one in (job, plain, final):
        until(client, one, State.RUNNING, None)
    for pod in bed.kubectl("-n", namespace, "get", "pods", "-o", "name").split():
        name = pod.removeprefix("pod/")
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        where = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
        bed.kubectl("create", "--raw", where, "-f", "-", stdin=json.dumps(eviction))

    assert final.wait(timeout=60).state is State.FAILED
    for one in (job, plain):
        deadline = client.clock.monotonic() + 120
        while not ((status := one.status()).state is State.RUNNING and status.attempt == 1):
            assert client.clock.monotonic() < deadline, status
            client.clock.sleep(0.2)
    bed.until(lambda: len(bed.kubectl("-n", namespace, "get", "pods", "-o", "name").split()) == 2)
    # The shell of ``setup`` adds up what a variable alone cannot: see the page about Kubernetes.
    for one, said in ((job, "1.1"), (plain, "0.1")):
        bed.until(lambda: [(n.attempt, n.gap) for n in one.logs()] == [(0, True), (1, False)])  # noqa: B023  # at once
        assert [line.text for line in one.logs(attempt=1)] == [said]
    client.cancel([job, plain])
    client.wait([job, plain], timeout=60)


def test_a_silent_node_is_told(client: Client, bed: Bed) -> None:
    """A dead kubelet's pod is not started elsewhere, says why, and its end is told once the node is back."""
    stays = [{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "seconds": 2}]
    job = client.submit(
        sh("echo on; exec sleep 600", node_selector={"kubernetes.io/hostname": "node2"}, tolerations=stays)
    )
    until(client, job, State.RUNNING, None)
    bed.ctl("stop", "node2/kubelet")
    try:
        status = until(client, job, State.RUNNING, Reason.NODE_UNAVAILABLE)
        assert status.reason is not None
        assert "--force" in status.reason.next
        assert any(line.gap for line in job.logs())
        note = {g.node: g.note for g in client.capacity().gpus}["node2"]
        assert note.startswith("not ready")
    finally:
        bed.ctl("start", "node2/kubelet")
        ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}{.status.allocatable.nvidia\\.com/gpu}"
        bed.until(lambda: bed.kubectl("get", "node", "node2", "-o", ready) == "True4")
    job.cancel()
    assert job.wait(timeout=60).state is State.CANCELLED


def test_a_preempted_job_starts_again(client: Client, bed: Bed) -> None:
    """A more important job takes its GPUs; it waits, and is the next attempt."""
    bed.kubectl("create", "priorityclass", "urgent", "--value=1000")
    try:
        low = client.submit(sh("exec sleep 600", gpus="a100:4"))
        until(client, low, State.RUNNING, None)
        urgent = client.submit(sh(UNTIL.format("/go"), gpus="a100:4", priority="urgent"))
        waits = until(client, low, State.PENDING, Reason.REQUEUED)

        assert waits.reason is not None
        assert "preempted on node1" in waits.reason.message
        bed.until(lambda: any(event.reason == "Preempted" for event in low.events()))
        bed.let_go(urgent)
        assert urgent.wait(timeout=60).succeeded
        assert until(client, low, State.RUNNING, None).attempt == 1
        low.cancel()
        low.wait(timeout=60)
    finally:
        bed.kubectl("delete", "priorityclass", "urgent")


def test_a_quota_is_told_with_its_numbers(client: Client, bed: Bed, namespace: str) -> None:
    """A Job is taken and none of its pods: only an event tells, and the status has it."""
    bed.kubectl("-n", namespace, "create", "quota", "gpus", "--hard=requests.nvidia.com/gpu=1")
    job = client.submit(sh("true", gpus=2))
    status = until(client, job, State.PENDING, Reason.QUOTA)

    assert status.reason is not None
    assert "exceeded quota: gpus" in status.reason.message
    assert any("quota gpus: 0 of 1 requests.nvidia.com/gpu used" in line for line in job.explain().details)


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"service_account": "nobody"}, Reason.CONFIG, "nobody"),
        ({"priority": "no-such-class"}, Reason.CONFIG, "no-such-class"),
        ({"runtime_class": "no-such-runtime"}, Reason.CONFIG, "no-such-runtime"),
        ({"image": "no-such-image:1"}, Reason.IMAGE_PULL, "no-such-image"),
        ({"volumes": ["pvc=no-such-claim:/data"]}, Reason.VOLUME, "no-such-claim"),
        ({"node_selector": {"no": "such"}}, Reason.UNSCHEDULABLE, "affinity"),
        ({"cpus": 1000}, Reason.INSUFFICIENT_RESOURCES, "cpu"),
    ],
)
def test_why_a_job_waits(client: Client, fields: dict[str, Any], code: Reason, said: str) -> None:
    """Every never-ending wait has its reason while it is PENDING."""
    job = client.submit(sh("true", **fields), preflight=False)
    status = until(client, job, State.PENDING, code)

    assert status.reason is not None
    assert said in status.reason.message


def test_a_job_that_somebody_deleted_is_lost(client: Client, bed: Bed, namespace: str) -> None:
    """A waiter learns of it at once; never as success."""
    job = client.submit(sh("exec sleep 600"))
    until(client, job, State.RUNNING, None)
    bed.kubectl("-n", namespace, "delete", "jobs", "--all", "--wait=false")

    status = job.wait(timeout=60)
    assert (status.state, reason(status)) == (State.LOST, Reason.LOST)


def test_a_server_that_is_busy_is_asked_again(proxied: Client, proxy: Proxy) -> None:
    """503 with Retry-After is obeyed; a status that cannot be asked is UNKNOWN, and the job goes on."""
    proxy.fail("status-503 POST .*/jobs 1", "status-429 GET .*/jobs/ 1")
    job = proxied.submit(sh("sleep 2"))
    proxy.fail("status-503 GET .*")
    assert job.status().state is State.UNKNOWN

    proxy.fail()
    assert job.wait(timeout=60).succeeded


def test_what_can_be_wrong_with_the_access_is_told_apart(bed: Bed, tmp_path: Path) -> None:
    """No namespace, no server, another cluster's CA, expired credentials, a failing plugin: each one clear error."""
    good = bed.kubeconfig.read_text()
    plugin = (
        "apiVersion: client.authentication.k8s.io/v1, command: sh, "
        "args: ['-c', 'echo login first >&2; exit 3'], interactiveMode: Never"
    )
    head, _, rest = good.partition("users: ")
    tail = rest.split("\n", 1)[1]
    cases: list[tuple[str, type[Exception], str]] = [
        (good.replace("10.89.0.2:6443", "10.89.0.2:1"), UnavailableError, "Nothing answers"),
        (good.replace(f"{bed.lab}/pki/ca.crt", f"{bed.lab}/pki/apiserver.crt"), ConfigError, "does not trust"),
        (f"{head}users: [{{name: admin, user: {{token: expired}}}}]\n{tail}", AuthError, "credentials"),
        (f"{head}users: [{{name: admin, user: {{exec: {{{plugin}}}}}}}]\n{tail}", AuthError, "login first"),
        (good.replace("current-context: testbed", "current-context: other"), ConfigError, "'other'"),
        ("{", ConfigError, "cannot be read"),
    ]
    for i, (text, error, said) in enumerate(cases):
        file = tmp_path / f"{i}.conf"
        file.write_text(text)
        with (
            Client(bed.config("default", kubeconfig=file), state_dir=tmp_path) as client,
            pytest.raises(error, match=said),
        ):
            client.list_jobs()
    with Client(bed.config("no-such-namespace"), state_dir=tmp_path) as client:
        spec = sh("true")
        with pytest.raises(RejectedError, match="no namespace 'no-such-namespace'"):
            client.submit(spec)
