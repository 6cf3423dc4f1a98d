"""The rights that ``gpujobs targets rbac`` prints: with them everything works in one namespace, beyond it nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gpujobs import AuthError, Client, GpuJob, GpuService, Port, Secret, State

if TYPE_CHECKING:
    from pathlib import Path

    from tests.live.kubernetes.conftest import Bed

pytestmark = pytest.mark.kubernetes
SERVE = ["python3", "-u", "-m", "http.server", "8002"]


def printed(bed: Bed, namespace: str, tmp_path: Path, *words: str) -> str:
    """What the command line prints about a target in that namespace."""
    table = f'[targets.prod]\nbackend = "kubernetes"\nkubeconfig = "{bed.kubeconfig}"\nnamespace = "{namespace}"\n'
    (tmp_path / "gpujobs.toml").write_text(table)
    command = [sys.executable, "-m", "gpujobs.cli", "targets", "rbac", "prod", *words]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def limited(bed: Bed, namespace: str, tmp_path: Path) -> Path:
    """The kubeconfig of an account that has what the command line printed, and no more."""
    return bed.limited(namespace, printed(bed, namespace, tmp_path), tmp_path / "limited.conf")


@pytest.fixture
def within(bed: Bed, namespace: str, limited: Path, tmp_path: Path) -> Client:
    """A client of that account."""
    return Client(bed.config(namespace, kubeconfig=limited), state_dir=tmp_path / "state")


def test_every_verb_on_jobs_works_with_the_printed_role(within: Client) -> None:
    """Children, GPUs, watching, dependencies, logs, exec, events, explanation, cancelling and deleting."""
    with within as client:
        checks = {check.title: check for check in client.check()}
        assert checks["rights in the namespace"].ok, checks
        first = client.submit(
            GpuJob(
                command=["sh", "-c", "cat $GPUJOBS_FILES/a; echo $T; sleep 1"],
                files={"a": "b\n"},
                secrets=[Secret("T", "v")],
                gpus=1,
            )
        )
        then = client.submit(GpuJob(command=["sleep", "600"], after=[first.ref], nodes=2, grace=1))
        assert [line.text for line in first.logs(follow=True)] == ["b", "v"]
        assert client.wait(first, timeout=120).succeeded
        end = client.clock.monotonic() + 120
        while then.status().state is not State.RUNNING or len(then.replicas()) != 2:
            assert client.clock.monotonic() < end, then.status()
            client.clock.sleep(0.2)
        assert then.exec(["sh", "-c", "exit 3"]).exit_code == 3
        assert first.events()
        assert str(then.explain())
        assert {s.ref for s in client.list_jobs(finished=True)} == {first.ref, then.ref}
        then.cancel()
        assert then.wait(timeout=120).state is State.CANCELLED
        client.delete([first, then])
        assert [s.state for s in client.status([first, then])] == [State.LOST] * 2


def test_every_verb_on_services_works_with_the_printed_role(within: Client) -> None:
    """Scaling, restarting, rolling out, endpoints, a forwarded port."""
    spec = GpuService(
        name="web", image="gpujobs-testbed/python:1", command=SERVE, ports=[Port(80, target_port=8002)], grace=1
    )
    with within as client:
        service = client.submit(spec)
        service.wait_ready(timeout=120)
        service.scale(2)
        assert service.wait_ready(timeout=120).replicas.ready == 2
        service.restart()
        service.update(spec.replace(env={"A": "b"}))
        service.wait_ready(timeout=120)
        assert service.exec(["sh", "-c", "echo $A"]).stdout == b"b\n"
        assert service.endpoints()
        with client.forward(service, 80) as port:
            assert port
        service.cancel()
        assert service.wait(timeout=120).state is State.CANCELLED
        service.delete()
        assert service.status().state is State.LOST


def test_beyond_its_namespace_the_printed_role_gives_nothing(
    bed: Bed, namespace: str, within: Client, limited: Path, tmp_path: Path
) -> None:
    """What needs the whole cluster says so; ``--cluster`` adds exactly that."""
    with within as client:
        with pytest.raises(AuthError, match="nodes"):
            client.capacity()
        bed.kubectl("apply", "-f", "-", stdin=printed(bed, namespace, tmp_path, "--cluster"))
        try:
            bed.until(lambda: _counts(client) == 8)
        finally:
            wide = f"gpujobs-{namespace}-gpujobs"
            bed.kubectl("delete", "clusterrole,clusterrolebinding", wide)
    with Client(bed.config("default", kubeconfig=limited), state_dir=tmp_path) as other, pytest.raises(AuthError):
        other.list_jobs()


def _counts(client: Client) -> int:
    try:
        return client.capacity().total
    except AuthError:  # the new right is not known to the API server yet
        return 0


def test_json_holds_the_same_objects(bed: Bed, namespace: str, tmp_path: Path) -> None:
    """As an array; the API server takes each of them."""
    objects = json.loads(printed(bed, namespace, tmp_path, "--json", "--cluster", "--account", "ci"))

    assert [o["kind"] for o in objects] == [
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
    ]
    for one in objects:
        bed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(one))
