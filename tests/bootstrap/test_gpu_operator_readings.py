"""What helm and kubectl print about the GPU Operator, read."""

import json
from typing import Any

import pytest
import yaml

from gpujobs.bootstrap.gpu_operator._cli import parse_values
from gpujobs.bootstrap.gpu_operator.removal import parse_crds
from gpujobs.bootstrap.gpu_operator.steps import unready
from gpujobs.bootstrap.kubernetes import Access
from gpujobs.bootstrap.kubernetes.facts import Release, parse_node, parse_releases
from gpujobs.cli._errors import Misuse

MICROK8S = Access(kubectl=("microk8s", "kubectl"), helm=("microk8s", "helm3"), microk8s=True)


def test_helm_list_names_the_release_in_any_namespace() -> None:
    """By its chart, whatever it is called; what was uninstalled does not count."""
    row = {"name": "gpu", "namespace": "x", "revision": "2", "status": "deployed", "chart": "gpu-operator-v25.10.0"}
    other = {**row, "chart": "gpu-operator-dashboard"}

    assert parse_releases(json.dumps([other, row])) == Release(
        name="gpu", namespace="x", version="v25.10.0", status="deployed", revision=2
    )
    assert parse_releases(json.dumps([{**row, "status": "uninstalled"}])) is None


def test_a_node_is_read_from_its_object() -> None:
    """GPU resources of every name, taints and readiness; other resources are left out."""
    node = yaml.safe_load("""
metadata: {name: n1, labels: {nvidia.com/gpu.count: "2", team: red}}
spec: {unschedulable: true, taints: [{key: nvidia.com/gpu, effect: NoSchedule}]}
status:
  allocatable: {cpu: "4", nvidia.com/gpu: "8", nvidia.com/mig-1g.10gb: "7"}
  capacity: {nvidia.com/gpu: "8"}
  conditions: [{type: Ready, status: "True"}]
  nodeInfo: {kubeletVersion: v1.35.0, containerRuntimeVersion: containerd://2.1}
""")

    found = parse_node(node)

    assert found.allocatable == {"nvidia.com/gpu": 8, "nvidia.com/mig-1g.10gb": 7}
    assert (found.physical, found.ready, found.cordoned) == (2, True, True)
    assert found.taints == ("nvidia.com/gpu=:NoSchedule",)


def test_the_kinds_of_a_chart_are_read() -> None:
    """The names in ``helm show crds``; empty documents are none."""
    text = "---\nmetadata: {name: b.nvidia.com}\n---\n---\nmetadata: {name: a.nvidia.com}\n"

    assert parse_crds(text) == ["a.nvidia.com", "b.nvidia.com"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"phase": "Succeeded"}, ""),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, ""),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
                ],
            },
            "p: c is ImagePullBackOff: no such image",
        ),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]},
            "p: 0/1 nodes",
        ),
    ],
)
def test_why_a_pod_is_not_ready(status: dict[str, Any], said: str) -> None:
    """In the words of the kubelet or the scheduler."""
    assert unready({"metadata": {"name": "p"}, "status": status}) == said


def test_set_words_become_a_tree() -> None:
    """Values are JSON where they can be, and text where not."""
    assert parse_values(["driver.enabled=false", "driver.version=580", "x.y=a=b"]) == {
        "driver": {"enabled": False, "version": 580},
        "x": {"y": "a=b"},
    }
    with pytest.raises(Misuse, match="no KEY=VALUE"):
        parse_values(["driver"])
