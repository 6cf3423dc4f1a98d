"""What is wrong with a cluster's GPUs, why, and what mends it: a pure function of the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.doctor import Trouble
from gpujobs.bootstrap.kubernetes.doctor_sharing import sharing_troubles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.bootstrap.kubernetes.evidence import Evidence, PodState
    from gpujobs.bootstrap.kubernetes.facts import NodeFact
    from gpujobs.bootstrap.shell import Argv

_PULL = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
_TOLERATED = ("nvidia.com/gpu",)


def diagnose(evidence: Evidence) -> list[Trouble]:
    """Everything that is wrong, the causes before their effects."""
    troubles = [trouble for node in evidence.facts.nodes for trouble in _of_node(evidence, node)]
    troubles += _of_operator(evidence)
    troubles += [_of_pod(evidence, pod) for pod in evidence.pods if _matters(evidence, pod)]
    for node in evidence.facts.nodes:
        troubles += _of_gpus(evidence, node)
    troubles += sharing_troubles(evidence)
    troubles += _of_rights(evidence)
    troubles += _of_orphans(evidence)
    return troubles


def _kubectl(evidence: Evidence, *words: str) -> Argv:
    return (*evidence.access.kubectl, *words)


def _shown(evidence: Evidence, *words: str) -> str:
    return " ".join(_kubectl(evidence, *words))


def _of_node(evidence: Evidence, node: NodeFact) -> Iterator[Trouble]:
    if not node.ready:
        yield Trouble(
            evidence.host,
            f"the node {node.name} is not ready",
            "Its kubelet does not answer, or says that something is missing; its pods will be lost.",
            advice=f"See its conditions: {_shown(evidence, 'describe', 'node', node.name)}; then its kubelet's log.",
        )
    if node.cordoned:
        yield Trouble(
            evidence.host,
            f"the node {node.name} is cordoned",
            "It takes no new pods.",
            (_kubectl(evidence, "uncordon", node.name),),
            advice="Somebody took it out of service on purpose: ask first, then uncordon it.",
        )
    for taint in node.taints if node.has_gpu else ():
        key, effect = taint.partition("=")[0], taint.rpartition(":")[2]
        if key not in _TOLERATED and effect != "PreferNoSchedule" and not key.startswith("node.kubernetes.io/"):
            yield Trouble(
                evidence.host,
                f"the GPU node {node.name} has the taint {taint}",
                "Pods of gpujobs tolerate nvidia.com/gpu and no other, so none gets there.",
                (_kubectl(evidence, "taint", "node", node.name, f"{key}:{effect}-"),),
                advice=f"Take the taint off, or add a toleration of {key} to the target or the workload.",
            )


def _of_operator(evidence: Evidence) -> Iterator[Trouble]:
    release, policy = evidence.facts.release, evidence.facts.policy
    if release is not None and release.status != "deployed":
        undo = ("rollback" if release.revision > 1 else "uninstall", release.name, "-n", release.namespace)
        yield Trouble(
            evidence.host,
            f"the helm release {release.name} is {release.status}",
            "A helm is at work on it, or was killed; no other can begin.",
            ((*evidence.access.helm, *undo),) if release.pending else (),
            advice="If no helm runs any more, free it; then run `gpujobs bootstrap gpu-operator apply`.",
        )
    if policy is not None and policy.state != "ready":
        yield Trouble(
            evidence.host,
            f"the GPU Operator is not ready: its state is {policy.state or 'not known'}",
            "A part of it does not run; the pods below say which.",
            advice=f"See {_shown(evidence, 'get', 'pods', '-n', evidence.operator or 'gpu-operator')}",
        )
    if policy is not None and "nvidia" not in evidence.facts.runtime_classes:
        yield Trouble(
            evidence.host,
            "there is no RuntimeClass nvidia",
            "Pods that name it are refused, and pods that do not may find no driver.",
            advice="The operator makes it: see the log of its pod. With its NRI plugin there is none, and none needed.",
        )


def _matters(evidence: Evidence, pod: PodState) -> bool:
    """Pods of the operator, and any pod whose image does not come."""
    return pod.namespace == evidence.operator or pod.reason in _PULL


def _of_pod(evidence: Evidence, pod: PodState) -> Trouble:
    if pod.reason in _PULL:
        return Trouble(
            evidence.host,
            f"{pod.namespace}/{pod.name} cannot pull {pod.image}",
            f"{pod.reason}: {pod.message}".rstrip(": "),
            advice="Check the name and the tag, the pull secret, and whether the node reaches the registry.",
        )
    return Trouble(
        evidence.host,
        f"{pod.namespace}/{pod.name} does not run",
        f"{pod.reason}: {pod.message}".rstrip(": "),
        advice=f"See {_shown(evidence, 'logs', '-n', pod.namespace, pod.name, '--previous', '--all-containers')}",
    )


def _of_gpus(evidence: Evidence, node: NodeFact) -> Iterator[Trouble]:
    ill = {name: total - node.allocatable.get(name, 0) for name, total in node.capacity.items()}
    for resource, number in ill.items():
        if 0 < number < node.capacity[resource] or (number and node.name in evidence.plugins):
            yield Trouble(
                evidence.host,
                f"{number} of {node.capacity[resource]} {resource} on {node.name} are ill",
                "The device plugin reports them as unhealthy; pods that have one go on.",
                advice=f"Run `nvidia-smi` and `dmesg | grep -i xid` on {node.name}; a reset or a reboot may mend it.",
            )
    if not node.has_gpu or node.gpus or any(ill.values()):
        return
    where = "does not run there" if node.name not in evidence.plugins else "runs there and offers none"
    yield Trouble(
        evidence.host,
        f"the node {node.name} has GPUs and hands out none",
        f"The device plugin {where}." if evidence.operator else "There is no device plugin in this cluster.",
        advice=f"See {_shown(evidence, 'logs', '-n', evidence.operator, '-l', 'app=nvidia-device-plugin-daemonset')}"
        if evidence.operator
        else "Install one: gpujobs bootstrap gpu-operator plan.",
    )


def _of_rights(evidence: Evidence) -> Iterator[Trouble]:
    if evidence.refused:
        yield Trouble(
            evidence.host,
            f"these credentials may not {', '.join(evidence.refused)} in the namespace {evidence.namespace}",
            "gpujobs needs that to submit workloads, follow and end them.",
            advice="An administrator grants it: kubectl create rolebinding gpujobs --clusterrole=edit --user=NAME -n "
            + evidence.namespace,
        )
    if evidence.unseen:
        yield Trouble(
            evidence.host,
            "parts of the cluster could not be looked at",
            f"These credentials may not list {', '.join(evidence.unseen)} in all namespaces.",
            advice="Workloads may run all the same. Run the doctor with an administrator's kubeconfig to see the rest.",
        )


def _of_orphans(evidence: Evidence) -> Iterator[Trouble]:
    for namespace, name in evidence.orphans:
        yield Trouble(
            evidence.host,
            f"{namespace}/{name} belongs to a workload that is gone",
            "A submission was cut off before it was finished.",
            (_kubectl(evidence, "delete", name, "-n", namespace, "--ignore-not-found"),),
            safe=True,
        )
