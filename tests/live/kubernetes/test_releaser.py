"""The releaser pod: jobs with ``after`` go on while no client is there, with the printed rights and no others."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

import gpujobs
import gpujobs_kubernetes
from gpujobs import Client, GpuJob, Reason, State

from .conftest import UNTIL

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs import Job
    from tests.live.kubernetes.conftest import Bed

pytestmark = pytest.mark.kubernetes
PYTHON = "gpujobs-testbed/python:1"
DEPLOYMENT = "deployment/gpujobs-releaser"


def requirements() -> list[str]:
    """What gpujobs[kubernetes] needs beside itself."""
    found = importlib.metadata.requires("gpujobs") or []
    named = [line.partition(";") for line in found]
    return sorted({name.strip() for name, _, marker in named if "extra" not in marker or "kubernetes" in marker})


def installed(bed: Bed) -> Path:
    """These packages as the image's Python takes them; that Python is the one of the machine's distribution."""
    version = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    wanted = requirements()
    folder = bed.lab / f"releaser-{version}-{hashlib.sha256(repr(wanted).encode()).hexdigest()[:12]}"
    if not folder.exists():
        half = folder.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--only-binary=:all:", "--python-version", version]
        subprocess.run([*pip, "--target", str(half), *wanted], check=True, capture_output=True)
        half.rename(folder)
    return folder


@pytest.fixture
def releaser(bed: Bed) -> str:
    """The line of a target that opts in: the bed's Python image, with gpujobs mounted from this machine."""
    folders = [installed(bed), *(Path(p.__file__ or "").parents[1] for p in (gpujobs, gpujobs_kubernetes))]
    mounts: list[dict[str, Any]] = []
    volumes: list[dict[str, Any]] = []
    for i, folder in enumerate(folders):
        mounts.append({"name": f"v{i}", "mountPath": f"/mnt/{i}", "readOnly": True})
        volumes.append({"name": f"v{i}", "hostPath": {"path": str(folder)}})
    where = {"name": "PYTHONPATH", "value": ":".join(str(m["mountPath"]) for m in mounts)}
    container: dict[str, Any] = {"name": "main", "env": [where], "volumeMounts": mounts}
    pod: dict[str, Any] = {"volumes": volumes, "containers": [container]}
    return "releaser = " + toml({"image": PYTHON, "extra": {"spec": {"template": {"spec": pod}}}})


def toml(value: object) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {toml(v)}" for k, v in cast("dict[str, object]", value).items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(v) for v in cast("list[object]", value)) + "]"
    return json.dumps(value)


@pytest.fixture
def opening(bed: Bed, namespace: str, tmp_path: Path, releaser: str) -> Callable[[], Client]:
    """Opens clients of a target that has a releaser, with the printed rights in place and no others."""
    with Client(bed.config(namespace, releaser), state_dir=tmp_path / "admin") as admin:
        limited = bed.limited(namespace, admin.rbac(), tmp_path / "limited.conf")
    config = bed.config(namespace, releaser, kubeconfig=limited)
    return lambda: Client(config, state_dir=tmp_path / "state")


def sh(script: str, **fields: Any) -> GpuJob:
    """A job that runs a line of sh."""
    return GpuJob.model_validate({"command": ["sh", "-c", script], "grace": 1, **fields})


def ended(bed: Bed, namespace: str) -> int:
    """How many Jobs have ended, asked of the API server and not through gpujobs, which would release them itself."""
    jobs = json.loads(bed.kubectl("-n", namespace, "get", "jobs", "-o", "json"))["items"]
    done = {"Complete", "Failed"}
    return sum(any(c["type"] in done for c in j.get("status", {}).get("conditions", [])) for j in jobs)


def there(bed: Bed, namespace: str) -> bool:
    """Whether there is anything of the releaser."""
    select = ("-l", "app.kubernetes.io/name=gpujobs-releaser", "-o", "name")
    return bool(bed.kubectl("-n", namespace, "get", "deployments,replicasets,pods", *select).strip())


def test_jobs_go_on_without_a_client_and_then_the_pod_goes(
    bed: Bed, namespace: str, opening: Callable[[], Client]
) -> None:
    """A chain is released, a job whose upstream failed is ended, once each; nothing of the releaser is left."""
    with opening() as client:
        first = client.submit(sh(UNTIL.format("/go")))
        bad = client.submit(sh(UNTIL.format("/go") + "; exit 3"))
        second = client.submit(sh("echo second", after=[first], files={"a": "b"}))
        third = client.submit(sh("echo third", after=[second, f"any:{bad.ref}"]))
        never = client.submit(sh("echo never", after=[bad]))
        checks = {check.title: check for check in client.check()}
    assert checks["releaser"].ok, checks
    assert there(bed, namespace)
    for job in (first, bad):
        bed.let_go(job)

    bed.until(lambda: ended(bed, namespace) == 5)
    bed.until(lambda: not there(bed, namespace))
    with opening() as client:
        jobs: list[Job] = [first, bad, second, third, never]
        states = [s.state for s in client.status(job.ref for job in jobs)]
        assert states == [State.SUCCEEDED, State.FAILED, State.SUCCEEDED, State.SUCCEEDED, State.FAILED]
        why = client.status(never.ref).reason
        assert why is not None
        assert why.code is Reason.DEPENDENCY
        assert [line.text for line in client.logs(third.ref)] == ["third"]
        assert {c.title: c.message for c in client.check()}["releaser"] == "none runs, for nothing waits"
    assert len(bed.kubectl("-n", namespace, "get", "pods", "-o", "name").split()) == 4


def test_a_releaser_that_is_killed_is_replaced_and_a_restarted_server_is_waited_for(
    bed: Bed, namespace: str, opening: Callable[[], Client]
) -> None:
    """Whatever befalls the pod or the API server, the job is started in the end, and once."""
    with opening() as client:
        first = client.submit(sh("exec sleep 600"))
        client.submit(sh("echo on", after=[f"any:{first.ref}"]))
    bed.kubectl("-n", namespace, "rollout", "status", DEPLOYMENT, "--timeout=120s")
    select = ("-n", namespace, "-l", "app.kubernetes.io/name=gpujobs-releaser")
    bed.kubectl("delete", "pod", *select, "--force", "--grace-period=0")
    bed.kubectl("-n", namespace, "rollout", "status", DEPLOYMENT, "--timeout=120s")
    bed.ctl("restart", "kube-apiserver")
    bed.until(lambda: bed.can("get", "--raw", "/readyz"))
    upstream = ("-n", namespace, "-l", f"gpujobs/id={first.ref.id.rpartition('/')[2]}", "-o", "name")
    bed.until(lambda: bed.kubectl("get", "pods", *upstream))
    bed.kubectl("delete", "pods", *upstream)

    bed.until(lambda: ended(bed, namespace) == 2)
    bed.until(lambda: not there(bed, namespace))
    assert len(bed.kubectl("-n", namespace, "get", "pods", "-o", "name").split()) == 1


def test_jobs_that_come_while_it_ends_are_not_left_behind(
    bed: Bed, namespace: str, opening: Callable[[], Client]
) -> None:
    """Each is submitted in about the moment in which the releaser finds that nothing waits."""
    rounds = 6
    suspended = ("-n", namespace, "get", "jobs", "-o", "jsonpath={.items[*].spec.suspend}")
    with opening() as client:
        for i in range(rounds):
            first = client.submit(sh("true", name=f"first-{i}"))
            client.submit(sh("true", name=f"second-{i}", after=[first]))
            bed.until(lambda: "true" not in bed.kubectl(*suspended))
            time.sleep(i / rounds)

    bed.until(lambda: ended(bed, namespace) == 2 * rounds)
    bed.until(lambda: not there(bed, namespace))


def test_where_it_cannot_run_that_is_said(bed: Bed, namespace: str, tmp_path: Path) -> None:
    """The check names the reason; the job is started by any client that looks, as ever."""
    with Client(bed.config(namespace, 'releaser = "no-such/image:1"'), state_dir=tmp_path) as client:
        bed.kubectl("apply", "-f", "-", stdin=client.rbac())
        first = client.submit(sh("true"))
        then = client.submit(sh("true", after=[first]))

        def said() -> str:
            check = {c.title: c for c in client.check()}["releaser"]
            return "" if check.ok else check.message

        bed.until(lambda: "no-such/image:1" in said())
        assert then.wait(timeout=60).succeeded


def test_the_strictest_namespaces_take_its_pod(bed: Bed, namespace: str, tmp_path: Path) -> None:
    """The ``restricted`` level of Kubernetes' Pod Security Standards."""
    bed.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    with Client(bed.config(namespace, f'releaser = "{PYTHON}"'), state_dir=tmp_path) as client:
        bed.kubectl("apply", "-f", "-", stdin=client.rbac())
        upstream = f"kubernetes://k/{namespace}/job/none"
        client.submit(sh("true", after=[f"any:{upstream}"]))
    template = json.loads(bed.kubectl("-n", namespace, "get", DEPLOYMENT, "-o", "json"))["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": namespace},
        "spec": template["spec"],
    }

    bed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
