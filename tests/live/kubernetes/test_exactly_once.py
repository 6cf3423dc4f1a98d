"""One key, one workload: lost replies, crashes between any two calls, two clients at once."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, ConflictError, GpuJob, GpuService, Port, RejectedError, Secret, State, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from gpujobs import Job
    from tests.live.kubernetes.conftest import Bed, Proxy

pytestmark = pytest.mark.kubernetes
RICH = GpuJob(
    command=["sh", "-c", "cat $GPUJOBS_FILES/a; echo $T"], files={"a": "file\n"}, secrets=[Secret("T", "told")]
)


def names(bed: Bed, namespace: str, kind: str) -> list[str]:
    """What there is of a kind."""
    return bed.kubectl("-n", namespace, "get", kind, "-o", "name").split()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param((GpuJob(command=["echo", "once"]), "POST .*/jobs"), id="plain"),
        pytest.param((RICH, "POST .*/jobs"), id="with-children"),
        pytest.param((RICH, "POST .*/secrets"), id="of-a-child"),
        pytest.param((RICH, "PATCH .*/jobs/"), id="of-the-start"),
    ],
)
def test_a_lost_reply_makes_no_second_job(
    proxied: Client, proxy: Proxy, bed: Bed, namespace: str, case: tuple[GpuJob, str]
) -> None:
    """The server took it, the reply never came: the retry finds it."""
    spec, lost = case
    proxy.fail(f"lost-reply {lost} 1")
    job = proxied.submit(spec)

    assert job.wait(timeout=120).succeeded
    assert len(names(bed, namespace, "jobs")) == 1
    assert "lost-reply" in proxy.log.read_text()


@pytest.fixture(params=["POST .*/jobs", "POST .*/configmaps", "POST .*/secrets", "PATCH .*/jobs/"])
def crashing(request: pytest.FixtureRequest, proxied: Client, proxy: Proxy) -> Client:
    """A client that dies before one of its calls."""
    proxy.fail(f"refuse {request.param}")
    return proxied


def test_a_crash_between_two_calls_leaves_nothing_running(
    crashing: Client, client: Client, bed: Bed, namespace: str
) -> None:
    """The client dies before any one call: nothing runs, and submitting again with the key completes it once."""
    with pytest.raises(UnavailableError) as caught:
        crashing.submit(RICH, idempotency_key="crashed")

    assert caught.value.key == "crashed"
    assert names(bed, namespace, "pods") == []
    job = client.submit(RICH, idempotency_key="crashed")
    assert job.wait(timeout=120).succeeded
    assert [line.text for line in job.logs()] == ["file", "told"]
    assert len(names(bed, namespace, "pods")) == 1


def test_an_open_submission_is_resumed(proxied: Client, proxy: Proxy) -> None:
    """The journal names it; resume settles it."""
    proxy.fail("refuse POST .*/jobs")
    with pytest.raises(UnavailableError):
        proxied.submit(["true"])
    assert len(proxied.open_submissions()) == 1

    proxy.fail()
    (job,) = proxied.resume()
    assert job.wait(timeout=120).succeeded
    assert proxied.open_submissions() == []


def test_clients_at_the_same_moment_make_one(bed: Bed, namespace: str, tmp_path: Path, client: Client) -> None:
    """Four clients, one key, children included: one Job, one pod."""
    found: list[Job] = []

    def submit(i: int) -> None:
        with Client(bed.config(namespace), state_dir=tmp_path / str(i)) as other:
            found.append(other.submit(RICH, idempotency_key="together"))

    threads = [threading.Thread(target=submit, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({job.ref for job in found}) == 1
    assert client.wait(found[0], timeout=120).succeeded
    assert len(names(bed, namespace, "pods")) == 1


def test_deleting_takes_the_children_along_and_frees_the_key(client: Client, bed: Bed, namespace: str) -> None:
    """The ConfigMap and the Secret go with their Job; another definition may then have the key."""
    job = client.submit(RICH, idempotency_key="again")
    job.wait(timeout=120)
    job.delete()
    other = client.submit(RICH.replace(files={"a": "other\n"}), idempotency_key="again")

    assert other.wait(timeout=120).succeeded
    assert [line.text for line in other.logs()] == ["other", "told"]
    other.delete()
    bed.until(lambda: not any("again" in n for n in names(bed, namespace, "secrets,configmaps,pods")))


def test_what_is_not_ours_is_left_alone(client: Client, bed: Bed, namespace: str) -> None:
    """A Deployment of that name which somebody else made is a conflict, and unknown to every verb."""
    bed.kubectl("-n", namespace, "create", "deployment", "theirs", "--image=gpujobs-testbed/busybox:1", "--replicas=0")
    with pytest.raises(ConflictError, match="did not make"):
        client.submit(GpuService(name="theirs", command=["true"]))

    assert client.status(f"kubernetes://k/{namespace}/service/theirs").state is State.LOST
    assert names(bed, namespace, "deployments") == ["deployment.apps/theirs"]


def test_a_refused_service_does_not_keep_its_name(client: Client, bed: Bed, namespace: str) -> None:
    """A node port outside the range is refused by the server, and nothing is left."""
    with pytest.raises(RejectedError, match="nodePort"):
        client.submit(GpuService(name="wrong", command=["true"], ports=[Port(80, node_port=80)]))

    bed.until(lambda: names(bed, namespace, "deployments") == [])


def test_what_is_rendered_is_what_is_there(client: Client, bed: Bed, namespace: str) -> None:
    """The API server accepts the rendering as it stands and has nothing to add to what gpujobs sent."""
    spec = GpuJob(command=["sh", "-c", "y: $(no) $$"], name="n0", env={"Y": "y", "N": "1_0", "T": "12:30:00"})
    text = client.render(spec, idempotency_key="shown")
    job = client.submit(spec, idempotency_key="shown")

    name = job.ref.id.rpartition("/")[2]
    sent = json.loads(bed.kubectl("-n", namespace, "get", "job", name, "-o", "json"))
    shown = json.loads(bed.kubectl("-n", namespace, "create", "--dry-run=client", "-o", "json", "-f", "-", stdin=text))
    theirs, mine = (t["spec"]["template"]["spec"]["containers"][0] for t in (sent, shown))
    assert {k: theirs[k] for k in ("command", "image")} == {k: mine[k] for k in ("command", "image")}
    assert [e for e in theirs["env"] if "value" in e] == [e for e in mine["env"] if "value" in e]
    assert sent["metadata"]["annotations"]["gpujobs/key"] == "shown"
