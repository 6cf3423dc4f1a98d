"""A real Kubernetes in a network of this test's own, with a chart that stands in for NVIDIA's."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .lab import CACHE, CHART, KLAB, Lab

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

HERE = Path(__file__).parent
BED = HERE.parents[1] / "kubernetes/bed"
BUILT = CACHE / "kubernetes"
PROGRAMS = ("kubelet", "kubectl", "kube-apiserver", "gpuplugin", "helm")
# What a bootstrap writes on this machine: here it is this test's own.
_PRIVATE = """
ip link set lo up
mkdir -p /var/lib/gpujobs && mount -t tmpfs tmpfs /var/lib/gpujobs
touch /run/gpujobs-bootstrap.lock && mount --bind "$1" /run/gpujobs-bootstrap.lock
"""


def _give_up(why: str) -> None:
    if "bootstrap" in os.environ.get("GPUJOBS_REQUIRE", "").split(","):
        pytest.fail(f"GPUJOBS_REQUIRE names bootstrap, and {why}.")
    pytest.skip(f"the Kubernetes bed cannot be had: {why}")


@contextmanager
def _building(missing: Sequence[str]) -> Generator[None, None, None]:
    """One build at a time; Kubernetes itself waits for the tests of the Kubernetes backend, which hold this lock."""
    BUILT.mkdir(parents=True, exist_ok=True)
    path = Path("/run/lock/gpujobs-testbed-kubernetes") if "kubelet" in missing else BUILT / ".extras.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prepare() -> None:
    if not (BED / "up.sh").exists():
        _give_up(f"{BED} is not there")
    missing = [name for name in PROGRAMS if not (BUILT / "bin" / name).exists()]
    if missing and not shutil.which("go"):
        _give_up(f"{', '.join(missing)} have to be built, and there is no go")
    subprocess.run([str(BED / "install.sh")], check=True, capture_output=True)
    with _building(missing):
        environment = {**os.environ, "KLAB": str(BUILT), "KLAB_EXTRAS": "helm"}
        if missing:
            subprocess.run(["nice", str(BED / "build.sh")], check=True, env=environment)
        subprocess.run([str(BED / "images.sh")], check=True, env=environment, capture_output=True)
    for name in ("bin", "images"):
        (KLAB / name).mkdir(parents=True, exist_ok=True)
        for path in (BUILT / name).iterdir():
            if not (KLAB / name / path.name).exists():
                (KLAB / name / path.name).symlink_to(path)


@pytest.fixture(scope="session")
def network() -> Iterator[int]:
    """A process that holds a network and mounts of its own: the bed's fixed addresses disturb nobody there."""
    _prepare()
    (KLAB / "lock").touch()
    holder = subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", "sleep", "infinity"])
    try:
        Lab.eventually(lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink())
        enter = ["nsenter", "-t", str(holder.pid), "-n", "-m", "--"]
        subprocess.run([*enter, "sh", "-ec", _PRIVATE, "private", str(KLAB / "lock")], check=True)
        yield holder.pid
    finally:
        holder.kill()
        holder.wait()


@pytest.fixture(scope="session")
def cluster(network: int) -> Iterator[Lab]:
    """The cluster: node1 with two GPUs, node2 with one."""
    lab = Lab(network)
    lab.run(str(BED / "down.sh"))
    up = lab.run(str(BED / "up.sh"), "--nodes", "2", "--gpus", "2", "--gpus", "1", check=False)
    assert up.returncode == 0, up.stderr
    try:
        yield lab
    finally:
        lab.run(str(BED / "down.sh"))


@pytest.fixture
def lab(cluster: Lab) -> Iterator[Lab]:
    """The cluster without an operator, before the test and after it."""
    if cluster.run("helm", "list", "-A", "-q").stdout:
        _clean(cluster)
    try:
        yield cluster
    finally:
        _clean(cluster)


def _clean(lab: Lab) -> None:
    """Whatever a failed test left, goes."""
    lab.run("helm", "uninstall", "gpu-operator", "-n", "gpu-operator", check=False)
    # With its pods, of which one would make the roles anew.
    lab.run("kubectl", "delete", "ns", "gpu-operator", "--ignore-not-found", check=False)
    lab.all_at_once(
        ("kubectl", "delete", "crd", "clusterpolicies.nvidia.com", "--ignore-not-found"),
        ("kubectl", "delete", "clusterrole,clusterrolebinding", "nvidia-device-plugin", "--ignore-not-found"),
        ("sh", "-c", "rm -rf /var/lib/gpujobs/*"),
        *_WHOLE,
    )
    _all_gpus()
    lab.eventually(lambda: lab.numbers() == {"node1": 2, "node2": 1})


# Nodes as they were.
_WHOLE = (
    ("kubectl", "label", "nodes", "--all", "nvidia.com/device-plugin.config-", "nvidia.com/mig.config-"),
    ("kubectl", "taint", "nodes", "--all", "team-"),
    ("kubectl", "uncordon", "node1", "node2"),
)


def _all_gpus() -> None:
    """The GPUs that the nodes had."""
    for node, count in (("node1", 2), ("node2", 1)):
        (KLAB / f"run/{node}/gpus").write_text(f"count={count}\nsmi={KLAB}/run/nvidia-smi\n")


@dataclass
class Operator:
    """The operator that tests hand on: what is installed, as it was right after that."""

    lab: Lab
    fresh: dict[str, Any] = field(default_factory=dict[str, Any])

    def install(self) -> None:
        """Have gpujobs install one."""
        _clean(self.lab)
        words = ("gpu-operator", "apply", "--yes", "--chart", str(CHART), "--ready-timeout", "120")
        ran = self.lab.gpujobs(*words, *self.lab.settings())
        assert ran.returncode == 0, ran.stderr
        self.fresh = self.state()

    def state(self) -> dict[str, Any]:
        """Everything that a test may change of it, and of the nodes."""
        return {
            "values": self._values(),
            "policy": self._policy(),
            "objects": self.lab.objects(),
            "numbers": self.lab.numbers(),
            "notes": self.lab.run("sh", "-c", "cat /var/lib/gpujobs/bootstrap/*/journal.json", check=False).stdout,
        }

    def is_fresh(self) -> bool:
        """Whether one is there, as if it had just been installed; after a reset it needs a moment for that."""
        end = time.monotonic() + 30
        while self.fresh and time.monotonic() < end:
            now = self.state()
            if now == self.fresh:
                return True
            if any(now[part] != self.fresh[part] for part in ("values", "notes")):
                break  # nobody but this test run changes those
            time.sleep(0.3)
        return False

    def reset(self) -> None:
        """Put back what tests of sharing and of the doctor change: sooner done than another installation."""
        self.lab.run("sh", "-c", "rm -rf /var/lib/gpujobs/bootstrap/gpu-sharing-*")
        # One journal is left: the operator's, where a test may have asked for another operator.
        rewrite = 'for journal in /var/lib/gpujobs/bootstrap/*/journal.json; do cat > "$journal"; done'
        self.lab.run("sh", "-c", rewrite, stdin=self.fresh["notes"], check=False)
        if self._values() != self.fresh["values"]:
            upgrade = ("helm", "upgrade", "gpu-operator", str(CHART), "-n", "gpu-operator", "--reset-values", "-f", "-")
            self.lab.run(*upgrade, stdin=self.fresh["values"], check=False)
        if self._policy() != self.fresh["policy"]:
            head = {"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "metadata": {"name": "cluster-policy"}}
            policy = json.dumps({**head, "spec": self.fresh["policy"]["spec"]})
            self.lab.run("kubectl", "replace", "-f", "-", stdin=policy, check=False)
        config = ("kubectl", "delete", "cm", "time-slicing-config", "--ignore-not-found", "-n")
        self.lab.all_at_once((*config, "gpu-operator"), (*config, "default"), *_WHOLE)
        _all_gpus()

    def _values(self) -> str:
        words = ("helm", "get", "values", "gpu-operator", "-n", "gpu-operator", "-o", "json")
        return self.lab.run(*words, check=False).stdout

    def _policy(self) -> dict[str, Any]:
        found = self.lab.run("kubectl", "get", "clusterpolicies.nvidia.com", "-o", "json", check=False).stdout or "{}"
        policies = json.loads(found).get("items", [])
        return {key: policy[key] for policy in policies for key in ("spec", "status") if key in policy}


@pytest.fixture(scope="session")
def operator(cluster: Lab) -> Operator:
    """Where the operator is kept that tests hand on."""
    return Operator(cluster)


@pytest.fixture
def installed(operator: Operator) -> Iterator[Lab]:
    """The cluster with an operator that gpujobs installed and nobody has changed."""
    if not operator.is_fresh():
        operator.install()
    yield operator.lab
    operator.reset()
