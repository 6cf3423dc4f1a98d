"""What helm is told, what is refused, and what an undo takes away: pure functions of what was found."""

import json
from typing import Any

import pytest

from gpujobs.bootstrap import LocalShell, RefusedError
from gpujobs.bootstrap.facts import GpuFact
from gpujobs.bootstrap.gpu_operator import OperatorWish, preflight
from gpujobs.bootstrap.gpu_operator.probes import HostFacts, judge
from gpujobs.bootstrap.gpu_operator.release import HelmRelease, compare
from gpujobs.bootstrap.gpu_operator.removal import Removal
from gpujobs.bootstrap.gpu_operator.steps import repository_steps
from gpujobs.bootstrap.gpu_operator.values import helm_values, merge
from gpujobs.bootstrap.kubernetes import Access, Cluster
from gpujobs.bootstrap.kubernetes.facts import ClusterFacts, NodeFact, Policy, Release

from .microk8s_bed import machine_facts as machine

MICROK8S = Access(kubectl=("microk8s", "kubectl"), helm=("microk8s", "helm3"), microk8s=True)
PLAIN = Access(kubectl=("kubectl",), helm=("helm",))
# The lesson's `--set` words, one a line: key, value.
LESSON = """
toolkit.env[0].name=CONTAINERD_CONFIG
toolkit.env[0].value=/var/snap/microk8s/current/args/containerd-template.toml
toolkit.env[1].name=CONTAINERD_SOCKET
toolkit.env[1].value=/var/snap/microk8s/common/run/containerd.sock
toolkit.env[2].name=RUNTIME_CONFIG_SOURCE
toolkit.env[2].value=file=/var/snap/microk8s/current/args/containerd.toml
"""


Tree = dict[str, "Tree"] | list["Tree"] | str | int | bool


def flat(values: Tree, path: str = "") -> list[str]:
    """A tree of values as the lines of ``--set``."""
    if isinstance(values, dict):
        return [line for key, value in values.items() for line in flat(value, f"{path}.{key}" if path else key)]
    if isinstance(values, list):
        return [line for number, value in enumerate(values) for line in flat(value, f"{path}[{number}]")]
    return [f"{path}={json.dumps(values) if isinstance(values, bool) else values}"]


def cluster(**changes: object) -> ClusterFacts:
    """A cluster of one node."""
    return ClusterFacts.model_validate(
        {"identity": "1a2b3c4d", "nodes": (NodeFact(name="box", ready=True),), **changes}
    )


def test_on_microk8s_helm_is_told_what_the_lesson_tells_it() -> None:
    """Line by line, in the lesson's order, and nothing else."""
    values = helm_values(OperatorWish(), HostFacts(), microk8s=True, version="v25.10.1")

    assert flat(values) == LESSON.split()


@pytest.mark.parametrize(
    ("wish", "host", "microk8s", "version", "expected"),
    [
        ({}, {}, False, "v25.10.1", []),
        ({}, {"driver": True}, False, "v25.10.1", ["driver.enabled=false"]),
        ({}, {"driver": True, "toolkit": True}, False, "v25.10.1", ["driver.enabled=false", "toolkit.enabled=false"]),
        ({}, {"driver": True, "toolkit": True}, True, "v25.10.1", [*LESSON.split(), "driver.enabled=false"]),
        ({"driver": "operator"}, {"driver": True}, False, "v25.10.1", []),
        ({"driver": "host"}, {}, False, "v25.10.1", ["driver.enabled=false"]),
        ({"toolkit": "host"}, {}, False, "v25.10.1", ["toolkit.enabled=false"]),
        ({"monitoring": True}, {}, False, "v25.10.1", ["dcgmExporter.serviceMonitor.enabled=true"]),
        (
            {}, {}, True, "v26.7.0",
            [*LESSON.split(), "hostPaths.kubeletRootDir=/var/snap/microk8s/common/var/lib/kubelet"],
        ),
        ({"values": {"driver": {"enabled": True}}}, {"driver": True}, False, "v25.10.1", ["driver.enabled=true"]),
    ],
)  # fmt: skip
def test_what_is_found_decides_the_values(
    wish: dict[str, Any], host: dict[str, Any], microk8s: bool, version: str, expected: list[str]  # noqa: FBT001
) -> None:  # fmt: skip
    """A host's driver and toolkit are left alone, and the user's own values win."""
    values = helm_values(OperatorWish(**wish), HostFacts(**host), microk8s=microk8s, version=version)

    assert flat(values) == expected


def release(**changes: Any) -> HelmRelease:
    """The step on microk8s."""
    given: dict[str, Any] = {
        "host": "localhost", "title": "Install", "access": MICROK8S, "name": "gpu-operator",
        "namespace": "gpu-operator",
        "chart": "nvidia/gpu-operator", "version": "v25.10.1", "from_file": False, "values": {"a": {"b": 1}},
    }  # fmt: skip
    return HelmRelease(**{**given, **changes})


def test_the_plan_shows_the_one_command_and_its_values() -> None:
    """Idempotent, of one version, with the values on its standard input: no comma in them means anything."""
    assert release().commands() == (
        (
            "microk8s helm3 upgrade --install gpu-operator -n gpu-operator --create-namespace nvidia/gpu-operator "
            "--version=v25.10.1 --reset-values --values - <<'EOF'\na:\n  b: 1\nEOF"
        ),
    )


def test_the_repository_is_the_lessons() -> None:
    """Both repository commands of the lesson, unless the chart is a file."""
    steps = repository_steps("localhost", MICROK8S, OperatorWish())

    assert [command for step in steps for command in step.commands()] == [
        "microk8s helm3 repo add nvidia https://helm.ngc.nvidia.com/nvidia",
        "microk8s helm3 repo update nvidia",
    ]
    assert repository_steps("localhost", MICROK8S, OperatorWish(chart="/srv/gpu-operator.tgz")) == ()


def test_the_removal_is_the_lessons() -> None:
    """The release, its namespace, its kinds, the cluster roles and bindings: in the lesson's order."""
    removal = Removal("gpu-operator", "gpu-operator", namespace_made=True, crds=("clusterpolicies.nvidia.com",))

    commands = [" ".join(argv) for argv in removal.commands(Cluster(LocalShell(), MICROK8S))]

    assert commands == [
        "microk8s helm3 uninstall gpu-operator -n gpu-operator",
        "microk8s kubectl delete namespace gpu-operator --ignore-not-found",
        "microk8s kubectl delete crd clusterpolicies.nvidia.com --ignore-not-found",
        "microk8s kubectl delete clusterrole nvidia-device-plugin --ignore-not-found",
        "microk8s kubectl delete clusterrolebinding nvidia-device-plugin --ignore-not-found",
        "microk8s kubectl delete clusterrole -l app.kubernetes.io/managed-by=gpu-operator --ignore-not-found",
        "microk8s kubectl delete clusterrolebinding -l app.kubernetes.io/managed-by=gpu-operator --ignore-not-found",
    ]


def test_what_was_there_before_is_not_removed() -> None:
    """A namespace, kinds and roles that came before the release stay."""
    before = ("clusterrole/nvidia-device-plugin", "clusterrolebinding/other")
    removal = Removal("gpu-operator", "gpu-operator", namespace_made=False, crds=(), roles_before=before)

    commands = [" ".join(argv) for argv in removal.commands(Cluster(LocalShell(), PLAIN))]

    assert commands == [
        "helm uninstall gpu-operator -n gpu-operator",
        "kubectl delete clusterrolebinding nvidia-device-plugin --ignore-not-found",
    ]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (None, "it is not installed"),
        ({"status": "failed"}, "the release is failed"),
        ({"version": "v25.3.0"}, "it is v25.3.0, not v25.10.1"),
        ({"values": {"a": {"b": 2}}}, "its values are others"),
    ],
)
def test_what_is_missing_of_a_release(found: dict[str, Any] | None, why: str) -> None:
    """State, version and values all have to be as wanted."""
    known = {"name": "gpu-operator", "namespace": "gpu-operator", "version": "25.10.1", "status": "deployed"}
    there = (
        None if found is None else Release.model_validate({**known, "revision": 1, "values": {"a": {"b": 1}}, **found})
    )

    assert (compare(there, release()).done, compare(there, release()).why) == (False, why)


def test_a_release_that_is_as_wanted_needs_nothing() -> None:
    """With or without the v of its version."""
    there = Release(
        name="gpu-operator", namespace="gpu-operator", version="25.10.1", status="deployed", revision=3,
        values={"a": {"b": 1}},
    )  # fmt: skip

    assert compare(there, release()).done


def test_values_of_others_are_kept() -> None:
    """Trees are merged, lists and scalars are taken over."""
    assert merge({"a": {"x": 1, "y": [1]}, "b": 2}, {"a": {"y": [2]}, "c": 3}) == {
        "a": {"x": 1, "y": [2]},
        "b": 2,
        "c": 3,
    }


@pytest.mark.parametrize(
    ("found", "hostname", "driver", "expected"),
    [
        (("box",), "box", "580.95", {"driver": True, "a_node": True}),
        (("box",), "box", "", {"a_node": True}),
        (("box", "gpu01"), "box", "", {"a_node": True, "unseen": ("gpu01",)}),
        (("gpu01", "gpu02"), "laptop", "", {"unseen": ("gpu01", "gpu02")}),
        (("gpu01", "gpu02"), "laptop", "580.95", {"unseen": ("gpu01", "gpu02")}),
    ],
)
def test_a_driver_counts_only_where_it_can_be_seen(
    found: tuple[str, ...], hostname: str, driver: str, expected: dict[str, Any]
) -> None:
    """The driver of a laptop says nothing about the nodes, and nodes that cannot be seen are named."""
    facts = cluster(nodes=tuple(NodeFact(name=name, ready=True) for name in found))
    here = machine(hostname=hostname, driver=driver)

    assert judge(here, facts, toolkit=False) == HostFacts(machine=here, **expected)


def test_the_operators_own_word_counts_for_a_driver() -> None:
    """A node it has labelled as having its driver is one, though it cannot be looked into."""
    node = NodeFact(name="gpu01", ready=True, labels={"nvidia.com/gpu.deploy.driver": "pre-installed"})

    assert judge(machine(hostname="laptop"), cluster(nodes=(node,)), toolkit=False).driver


def found_release(**changes: Any) -> Release:
    """A release by somebody else."""
    known = {"name": "gpu", "namespace": "elsewhere", "version": "v25.3.0", "status": "deployed", "revision": 1}
    return Release.model_validate({**known, **changes})


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (cluster(nodes=(NodeFact(name="box", ready=False),)), "No node of the cluster is Ready"),
        (cluster(release=found_release()), "release 'gpu' in namespace 'elsewhere'"),
        (cluster(policy=Policy(name="cluster-policy")), "helm did not install"),
        (
            cluster(release=found_release(name="gpu-operator", namespace="gpu-operator", status="pending-upgrade")),
            "another helm is at work",
        ),
    ],
)
def test_what_cannot_work_is_refused(facts: ClusterFacts, message: str) -> None:
    """Before anything is changed, with the reason."""
    with pytest.raises(RefusedError, match=message):
        preflight.refuse(OperatorWish(), facts, ours=False)


def test_old_plugins_crash_where_memory_is_unified() -> None:
    """A GB10 with a chart before v25.10 is warned of."""
    gpu = GpuFact(index=0, name="NVIDIA GB10", uuid="GPU-1", memory_mib=None)
    host = HostFacts(driver=True, a_node=True, machine=machine(driver="580", gpus=(gpu,)))

    said = list(preflight.warnings(OperatorWish(version="v25.3.4"), host, "v25.3.4"))

    assert said == ["NVIDIA GB10 shares its memory with the system: device plugins before v25.10 crash on it"]
