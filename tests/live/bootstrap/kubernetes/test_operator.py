"""The GPU Operator is installed by real helm on a real cluster, proved, cut off, and taken away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpujobs.bootstrap import RefusedError

if TYPE_CHECKING:
    from tests.live.bootstrap.kubernetes.lab import Lab

STAND_INS = Path(__file__).parents[3] / "bootstrap/stand_ins/stand_in.py"
# The lesson's, word by word; only the chart is a file here.
LESSON = (
    "--set", "toolkit.env[0].name=CONTAINERD_CONFIG",
    "--set", "toolkit.env[0].value=/var/snap/microk8s/current/args/containerd-template.toml",
    "--set", "toolkit.env[1].name=CONTAINERD_SOCKET",
    "--set", "toolkit.env[1].value=/var/snap/microk8s/common/run/containerd.sock",
    "--set", "toolkit.env[2].name=RUNTIME_CONFIG_SOURCE",
    "--set-string", "toolkit.env[2].value=file=/var/snap/microk8s/current/args/containerd.toml",
)  # fmt: skip


def apply(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    """``gpu-operator apply`` with the bed's chart."""
    return lab.gpujobs("gpu-operator", "apply", "--yes", "--chart", lab.chart, "--ready-timeout", "90", *words)


def test_from_nothing_to_proved_and_back(lab: Lab) -> None:
    """Installed, nothing to do the second time, a pod on every node sees a GPU, and the undo leaves no trace."""
    before = lab.objects()

    first = apply(lab, *lab.settings())
    second = apply(lab)
    proved = lab.gpujobs("gpu-operator", "verify", "--image", lab.image, "--json")
    undone = lab.gpujobs("gpu-operator", "undo", "--yes")

    assert first.returncode == 0, first.stderr
    assert second.stdout == "Nothing was to be done.\n"
    checks = json.loads(proved.stdout)["checks"]
    assert [check["ok"] for check in checks] == [True] * 6, checks
    assert checks[-1]["detail"].startswith("GPU 0: ")
    assert "helm uninstall gpu-operator -n gpu-operator" in undone.stdout
    assert undone.returncode == 0, undone.stderr
    assert lab.objects() == before


def test_on_microk8s_the_values_are_the_lessons(lab: Lab, tmp_path: Path) -> None:
    """microk8s's own kubectl and helm3 act, and helm is given exactly what the lesson gives it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "state.json").write_text(json.dumps({"installed": True, "channel": "1.35/stable", "held": True}))
    (tmp_path / "bin/microk8s").symlink_to(STAND_INS)
    programs = {"KUBECTL": f"{lab.home}/bin/kubectl", "HELM": f"{lab.home}/bin/helm"}
    micro = lab.beside(tmp_path / "bin", STAND_IN=str(tmp_path), **programs)

    values = ("helm", "get", "values", "gpu-operator", "-n", "gpu-operator", "-o", "json")
    lab.run("helm", "install", "gpu-operator", "-n", "gpu-operator", "--create-namespace", lab.chart, *LESSON)
    lesson = json.loads(lab.run(*values).stdout)
    lab.run("helm", "uninstall", "gpu-operator", "-n", "gpu-operator")

    ran = apply(micro, *lab.settings())
    given = json.loads(lab.run(*values).stdout)

    assert ran.returncode == 0, ran.stderr
    del given["testbed"]
    assert given == lesson


def test_a_killed_helm_does_not_block_the_next(lab: Lab) -> None:
    """A release that is pending for ever, because helm was killed in a hook, is freed and installed."""
    slow = ("--set", "testbed.hook=20")
    words = ("gpu-operator", "apply", "--yes", "--chart", lab.chart, *slow, *lab.settings())
    ran = subprocess.Popen(
        (*lab.prefix, sys.executable, "-m", "gpujobs.bootstrap", *words),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    status = ("helm", "list", "-n", "gpu-operator", "-a", "-o", "json")
    lab.eventually(lambda: "pending-install" in lab.run(*status, check=False).stdout)
    os.killpg(ran.pid, signal.SIGKILL)
    assert ran.wait() == -signal.SIGKILL

    plan = lab.gpujobs("gpu-operator", "plan")
    again = apply(lab, "--set", "testbed.hook=0", *lab.settings())

    assert "helm uninstall gpu-operator -n gpu-operator\n" in plan.stdout
    assert again.returncode == 0, again.stderr
    assert "deployed" in lab.run(*status).stdout


def test_an_operator_of_somebody_else_is_given_back(lab: Lab) -> None:
    """Values given by hand stay, and the undo goes back to the revision that was there."""
    by_hand = ("helm", "install", "gpu-operator", lab.chart, "-n", "gpu-operator", "--create-namespace")
    lab.run(*by_hand, *lab.settings(), "--set", "mig.strategy=mixed")
    values = ("helm", "get", "values", "gpu-operator", "-n", "gpu-operator", "-o", "json")
    before = json.loads(lab.run(*values).stdout)

    ran = apply(lab, "--driver", "host")
    changed = json.loads(lab.run(*values).stdout)
    undone = lab.gpujobs("gpu-operator", "undo", "--yes")

    assert ran.returncode == 0, ran.stderr
    assert changed == {**before, "driver": {"enabled": False}}
    assert "was there before" in undone.stdout
    assert json.loads(lab.run(*values).stdout) == before


def test_another_release_is_not_taken_over(lab: Lab) -> None:
    """One in another namespace is named, with how to manage that one."""
    lab.run("helm", "install", "gpu", lab.chart, "-n", "elsewhere", "--create-namespace", *lab.settings())
    try:
        ran = apply(lab)
    finally:
        lab.run("helm", "uninstall", "gpu", "-n", "elsewhere")
        lab.run("kubectl", "delete", "ns", "elsewhere")

    assert ran.returncode == 1
    assert "--namespace elsewhere --release gpu" in ran.stderr


def test_a_chart_repository_is_added_and_forgotten(lab: Lab, tmp_path: Path) -> None:
    """The chart comes from a real repository over HTTP, which an undo takes off helm's list again."""
    lab.run("helm", "package", lab.chart, "-d", str(tmp_path))
    lab.run("helm", "repo", "index", str(tmp_path))
    port = "18879"
    server = subprocess.Popen(
        (*lab.prefix, sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "-d", str(tmp_path)),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    private = lab.beside(tmp_path, HELM_CONFIG_HOME=str(tmp_path / "c"), HELM_CACHE_HOME=str(tmp_path / "cache"))
    url = f"http://127.0.0.1:{port}"
    try:
        lab.eventually(lambda: private.run("curl", "-fs", f"{url}/index.yaml", check=False).returncode == 0)
        words = ("gpu-operator", "apply", "--yes", "--repository", url, *lab.settings())
        ran = private.gpujobs(*words)
        again = private.gpujobs(*words)
        undone = private.gpujobs("gpu-operator", "undo", "--yes")
    finally:
        server.kill()
        server.wait()

    assert ran.returncode == 0, ran.stderr
    assert again.stdout == "Nothing was to be done.\n"
    assert undone.returncode == 0, undone.stderr
    assert "nvidia" not in private.run("helm", "repo", "list", check=False).stdout


def test_what_is_not_ready_is_named(lab: Lab) -> None:
    """An image that does not come: the failure names the pod and the reason, and verify says so too."""
    ran = lab.gpujobs(
        "gpu-operator", "apply", "--yes", "--chart", lab.chart, "--ready-timeout", "8", *lab.settings(),
        "--set", "testbed.image=gpujobs-testbed/absent:1",
    )  # fmt: skip
    proved = lab.gpujobs("gpu-operator", "verify", "--image", lab.image)

    assert ran.returncode == 1
    assert "is ErrImagePull" in ran.stderr or "is ImagePullBackOff" in ran.stderr
    assert proved.returncode == 1
    assert "FAIL  Every pod of the operator is ready" in proved.stdout


def test_an_undo_without_an_apply_is_refused(lab: Lab) -> None:
    """Nothing was noted, so nothing is touched."""
    with pytest.raises(RefusedError, match="has installed a GPU Operator"):
        lab.operator().undo()
