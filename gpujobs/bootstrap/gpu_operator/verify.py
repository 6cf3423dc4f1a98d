"""Whether GPUs really reach pods: what the operator says, what the nodes hand out, and a pod that sees one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.gpu_operator.steps import pods_not_ready
from gpujobs.bootstrap.kubernetes.facts import gather_cluster
from gpujobs.bootstrap.kubernetes.trial import IMAGE, Trial, run_trial
from gpujobs.bootstrap.verify import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.bootstrap.kubernetes.cluster import Cluster
    from gpujobs.bootstrap.kubernetes.facts import ClusterFacts, NodeFact

_PLUGIN = "app=nvidia-device-plugin-daemonset"
_TAIL = "--tail=20"


def verify(cluster: Cluster, *, image: str = IMAGE, timeout_s: float = 300) -> Iterator[Check]:
    """Prove it, one check after the other; a pod is sent to every node that hands out GPUs.

    Args:
        cluster: Where.
        image: Of the pods that are sent; it has to have a shell, and gets nvidia-smi from the driver.
        timeout_s: How long each of them may take, the pull of the image included.

    Raises:
        UnavailableError: The cluster cannot be reached.
    """
    facts = gather_cluster(cluster)
    yield _release_check(facts)
    if facts.release is not None:
        yield _pods_check(cluster, facts.release.namespace)
    if facts.policy is not None:
        yield Check("The operator says it is ready", facts.policy.state == "ready", facts.policy.state or "not known")
    handed = [node for node in facts.nodes if node.gpus]
    yield _allocatable_check(cluster, facts)
    for node in handed:
        yield pod_check(cluster, facts, node, image=image, timeout_s=timeout_s)


def _release_check(facts: ClusterFacts) -> Check:
    title = "The GPU Operator is installed"
    if facts.release is None:
        return Check(title, facts.policy is not None, "not by helm" if facts.policy else "there is no helm release")
    release = facts.release
    return Check(title, release.status == "deployed", f"{release.version} in {release.namespace}, {release.status}")


def _pods_check(cluster: Cluster, namespace: str) -> Check:
    waiting = pods_not_ready(cluster, namespace)
    number = len(cluster.items("pods", "-n", namespace))
    detail = "; ".join(waiting[:3]) if waiting else f"{number} pods"
    return Check("Every pod of the operator is ready", not waiting and number > 0, detail, _logs(cluster, waiting))


def _allocatable_check(cluster: Cluster, facts: ClusterFacts) -> Check:
    handed = {node.name: {name: n for name, n in node.allocatable.items() if n} for node in facts.nodes if node.gpus}
    shown = ", ".join(
        f"{node} {number} {resource}" for node, numbers in handed.items() for resource, number in numbers.items()
    )
    title = "Nodes hand out GPUs"
    return Check(title, bool(handed), shown or "no node does", "" if handed else _logs(cluster, ["none"]))


def pod_check(cluster: Cluster, facts: ClusterFacts, node: NodeFact, *, image: str, timeout_s: float) -> Check:
    """Whether a pod on this node that asks for one GPU sees one."""
    trial = Trial(
        node.labels.get("kubernetes.io/hostname", node.name),
        resource_of(node),
        image=image,
        runtime_class=runtime_class(facts),
        timeout_s=timeout_s,
    )
    outcome = run_trial(cluster, trial)
    seen = next(iter(outcome.gpus), "").strip()
    good = len(outcome.uuids) == 1
    detail = seen.splitlines()[0] if seen else outcome.why
    return Check(f"A pod on {node.name} got the GPU it asked for", good, detail, "" if good else seen)


def resource_of(node: NodeFact) -> str:
    """What a pod asks for on this node."""
    return next(name for name, number in node.allocatable.items() if number)


def runtime_class(facts: ClusterFacts) -> str:
    """NVIDIA's RuntimeClass where there is one: without it a pod may find no driver."""
    return "nvidia" if "nvidia" in facts.runtime_classes else ""


def _logs(cluster: Cluster, waiting: list[str]) -> str:
    """The end of the device plugins' logs, where something is not as it should be."""
    if not waiting:
        return ""
    return cluster.ask(cluster.kubectl("logs", "-A", "-l", _PLUGIN, _TAIL, "--all-containers")).text
