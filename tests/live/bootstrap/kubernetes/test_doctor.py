"""Every trouble is provoked on a real cluster, found by the doctor, and mended by the command it prints."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.live.bootstrap.kubernetes.lab import Lab

CONFIG = "version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}\n"
NO_RESOURCES = "version: v1\nsharing: {timeSlicing: {replicas: 4}}\n"
POLICY = ("clusterpolicies.nvidia.com", "cluster-policy")


def config_map(data: dict[str, str], namespace: str = "gpu-operator") -> str:
    """A ConfigMap with GPU sharing in it."""
    metadata = {"name": "time-slicing-config", "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def tell(lab: Lab, default: str) -> None:
    """Name the ConfigMap in the ClusterPolicy, as a hand would."""
    told = {"spec": {"devicePlugin": {"config": {"name": "time-slicing-config", "default": default}}}}
    lab.run("kubectl", "patch", *POLICY, "--type=merge", "-p", json.dumps(told))


def troubles(lab: Lab) -> list[dict[str, Any]]:
    """What the doctor says of the cluster, as far as it is about Kubernetes."""
    config = lab.home / "doctor.toml"
    config.write_text(f'[targets.bed]\nbackend = "kubernetes"\nkubeconfig = "{lab.home}/admin.conf"\n')
    aimed = lab.beside(lab.home, GPUJOBS_CONFIG=str(config))
    found: list[dict[str, Any]] = aimed.doctor("--target", "bed")["troubles"]
    return found


def only(lab: Lab, words: str) -> dict[str, Any]:
    """The one trouble with these words, once it is there."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [trouble for trouble in troubles(lab) if words in trouble["what"]]
        return bool(found)

    lab.eventually(there)
    return found[0]


def mend(lab: Lab, trouble: dict[str, Any]) -> None:
    """Run what the doctor printed, as a person would paste it."""
    for command in trouble["fix"]:
        lab.run("sh", "-c", command)
    lab.eventually(lambda: all(trouble["what"] != other["what"] for other in troubles(lab)))


def test_a_healthy_cluster_has_nothing(installed: Lab) -> None:
    """No false alarm: with an operator that works and GPUs that are shared, nothing is found."""
    assert installed.gpujobs("gpu-sharing", "apply", "--time-slice", "2", "--yes").returncode == 0

    assert troubles(installed) == []


@dataclass(frozen=True)
class Case:
    """How a trouble is made, and what tells it."""

    data: dict[str, str]
    default: str | None
    what: str
    label: str = ""


CASES = {
    "the ClusterPolicy does not name it": Case({"any": CONFIG}, None, "is applied to no node"),
    "no default and no label": Case({"any": CONFIG}, "", "is applied to no node"),
    "a default that is not there": Case({"any": CONFIG}, "other", "the default sharing configuration 'other'"),
    "a node's label that is not there": Case({"any": CONFIG}, "any", "the node node1 wants", "absent"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_sharing_that_does_not_happen_is_mended_by_its_command(installed: Lab, case: Case) -> None:
    """The ConfigMap is there and GPUs are not shared: the doctor says why, and its command shares them."""
    if case.label:
        installed.run("kubectl", "label", "node", "node1", f"nvidia.com/device-plugin.config={case.label}")
    installed.run("kubectl", "apply", "-f", "-", stdin=config_map(case.data))
    if case.default is not None:
        tell(installed, case.default)

    mend(installed, only(installed, case.what))

    installed.eventually(lambda: installed.numbers() == {"node1": 8, "node2": 4})


def test_a_plugin_that_has_not_read_it_is_restarted(installed: Lab) -> None:
    """The ConfigMap was changed by hand and nothing happened: --fix restarts the plugins, and the number changes."""
    assert installed.gpujobs("gpu-sharing", "apply", "--time-slice", "2", "--yes").returncode == 0
    installed.run("sleep", "1.1")
    installed.run(
        "kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=config_map({"any": CONFIG})
    )

    stale = only(installed, "have not read the sharing configuration")
    mend(installed, stale)

    assert stale["safe"]
    installed.eventually(lambda: installed.numbers() == {"node1": 8, "node2": 4})


def test_a_configuration_that_is_wrong_is_named(installed: Lab) -> None:
    """The lesson's extra key alone: no resources, so the plugin ends; the bootstrap that is advised mends it."""
    installed.run("kubectl", "apply", "-f", "-", stdin=config_map({"any": NO_RESOURCES}))
    tell(installed, "any")

    found = only(installed, "does not share GPUs")
    installed.gpujobs("gpu-sharing", "apply", "--time-slice", "4", "--yes")

    assert "no resources" in found["why"]
    assert "gpu-sharing apply" in found["advice"]
    installed.eventually(lambda: installed.numbers() == {"node1": 8, "node2": 4})


def test_a_configuration_elsewhere_and_a_missing_one_are_told(installed: Lab) -> None:
    """In another namespace it is looked for nowhere; a name without a ConfigMap keeps the plugins from starting."""
    installed.run("kubectl", "apply", "-f", "-", stdin=config_map({"any": CONFIG}, "default"))
    elsewhere = only(installed, "default/time-slicing-config is applied to no node")
    tell(installed, "any")
    missing = only(installed, "has no such ConfigMap")
    installed.run("kubectl", "delete", "configmap", "time-slicing-config")

    assert "in gpu-operator only" in elsewhere["why"]
    assert "cannot start" in missing["why"]


def test_taints_and_cordons_are_taken_off(installed: Lab) -> None:
    """Both keep pods away from a GPU node, and both are undone by what is printed."""
    installed.run("kubectl", "taint", "node", "node1", "team=red:NoSchedule")
    installed.run("kubectl", "cordon", "node2")

    taint, cordon = only(installed, "has the taint team=red"), only(installed, "node2 is cordoned")
    mend(installed, taint)
    mend(installed, cordon)

    assert not taint["safe"]
    assert troubles(installed) == []


def test_an_ill_gpu_is_counted(installed: Lab) -> None:
    """One of two GPUs is unhealthy: the doctor says so, and forgets it when it is well."""
    gpus = installed.home / "run/node1/gpus"
    well = gpus.read_text()
    gpus.write_text(well + "unhealthy=0\n")

    ill = only(installed, "1 of 2 nvidia.com/gpu on node1 are ill")
    gpus.write_text(well)

    assert "nvidia-smi" in ill["advice"]
    installed.eventually(lambda: troubles(installed) == [])


def test_images_that_do_not_come_are_named(installed: Lab) -> None:
    """Whatever namespace the pod is in, with the image and the kubelet's own words."""
    installed.run("kubectl", "run", "absent", "--image=gpujobs-testbed/absent:1", "--image-pull-policy=Never")
    try:
        found = only(installed, "default/absent cannot pull gpujobs-testbed/absent:1")
    finally:
        installed.run("kubectl", "delete", "pod", "absent", "--grace-period=0", "--force", check=False)

    assert found["why"].startswith("ErrImageNeverPull")


def test_rights_that_are_missing_are_listed(installed: Lab) -> None:
    """A user who may look at nodes and nothing else: what gpujobs lacks is told, verb by verb."""
    view = ("create", "clusterrolebinding", "verify-view", "--clusterrole=system:node-reader", "--user=nobody")
    installed.run(
        "kubectl", "create", "clusterrole", "system:node-reader", "--verb=get,list", "--resource=nodes,namespaces"
    )
    installed.run("kubectl", *view)
    kubectl = installed.home / "as/kubectl"
    kubectl.parent.mkdir(exist_ok=True)
    kubectl.write_text(f'#!/bin/sh\nexec {installed.home}/bin/kubectl --as=nobody "$@"\n')
    kubectl.chmod(0o755)
    code = (
        "from gpujobs.bootstrap import LocalShell\n"
        "from gpujobs.bootstrap.kubernetes.checkup import checkup\n"
        "print(*(t.what for t in checkup('bed', LocalShell)[0]), sep='\\n')"
    )
    import sys  # noqa: PLC0415

    limited = installed.beside(kubectl.parent, HELM_DRIVER="configmap")
    try:
        said = limited.run(sys.executable, "-c", code).stdout
    finally:
        installed.run("kubectl", "delete", "clusterrolebinding/verify-view", "clusterrole/system:node-reader")

    assert "these credentials may not create jobs.batch, create deployments.apps" in said
    assert "parts of the cluster could not be looked at" in said


def test_a_release_that_hangs_is_freed(installed: Lab) -> None:
    """A helm that was killed in an upgrade leaves the release pending: the printed rollback frees it."""
    words = ("helm", "upgrade", "gpu-operator", installed.chart, "-n", "gpu-operator", "--reuse-values")
    listed = ("helm", "list", "-n", "gpu-operator", "-a", "-o", "json")
    upgrade = subprocess.Popen((*installed.prefix, *words, "--set", "testbed.hook=60"), stdout=subprocess.DEVNULL)
    try:
        installed.eventually(lambda: "pending-upgrade" in installed.run(*listed, check=False).stdout)
    finally:
        upgrade.kill()
        upgrade.wait()

    mend(installed, only(installed, "the helm release gpu-operator is pending-upgrade"))

    assert "deployed" in installed.run("helm", "list", "-n", "gpu-operator").stdout


def test_a_cluster_that_is_silent_is_told(lab: Lab) -> None:
    """A kubeconfig for a server that is not there: one finding, with what was said."""
    dead = lab.home / "dead.conf"
    dead.write_text((lab.home / "admin.conf").read_text().replace(":6443", ":6444"))
    config = lab.home / "dead.toml"
    config.write_text(f'[targets.dead]\nbackend = "kubernetes"\nkubeconfig = "{dead}"\n')

    found = lab.beside(lab.home, GPUJOBS_CONFIG=str(config)).doctor("--target", "dead")["troubles"]

    assert [trouble["what"] for trouble in found] == ["the cluster does not answer"]
    assert "refused" in found[0]["why"]
