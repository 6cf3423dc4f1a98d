"""What cannot become a cluster with a GPU Operator, and what works less well than asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.gpu_operator.wish import release_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.bootstrap.gpu_operator.probes import HostFacts
    from gpujobs.bootstrap.gpu_operator.wish import OperatorWish
    from gpujobs.bootstrap.kubernetes.facts import ClusterFacts

_UNIFIED_SINCE = (25, 10)
_KNOWS_CONFIG_SOURCE = (25, 10)


def refuse(wish: OperatorWish, cluster: ClusterFacts, *, ours: bool) -> None:
    """Refuse what cannot work, before anything is changed.

    Args:
        wish: What is wanted.
        cluster: What was found.
        ours: Whether a helm that is at work, or was killed, is one of gpujobs.

    Raises:
        RefusedError: With the reason, and what to do.
    """
    if not any(node.ready for node in cluster.nodes):
        raise RefusedError(
            "No node of the cluster is Ready, so no pod of the GPU Operator could run.",
            next_step="Mend the nodes first: `gpujobs doctor` says what is wrong with them.",
        )
    found = cluster.release
    if found is None:
        if cluster.policy is not None:
            raise RefusedError(
                f"A GPU Operator that helm did not install is there: the ClusterPolicy {cluster.policy.name}.",
                next_step="Keep it and set up sharing with `gpujobs bootstrap gpu-sharing`, or remove it first.",
            )
        return
    if (found.namespace, found.name) != (wish.namespace, wish.release):
        raise RefusedError(
            f"The GPU Operator {found.version} is there as release {found.name!r} in namespace {found.namespace!r}.",
            next_step=f"Manage that one with --namespace {found.namespace} --release {found.name}, or remove it first.",
        )
    if found.pending and not ours:
        raise RefusedError(
            f"The release {found.name!r} is {found.status}: another helm is at work on it, or was killed.",
            next_step=f"If none is: `helm rollback {found.name} -n {found.namespace}`, or `helm uninstall` it.",
        )


def warnings(wish: OperatorWish, host: HostFacts, version: str) -> Iterator[str]:
    """What a person should know before this is applied."""
    if wish.driver == "auto" and host.unseen:
        yield (
            f"the drivers of {', '.join(host.unseen)} cannot be seen from here, so the operator will bring one: "
            "give --driver host where the nodes have theirs"
        )
    machine = host.machine
    if machine is None or not host.a_node:
        return
    if machine.unified_memory and release_of(version) < _UNIFIED_SINCE:
        yield f"{machine.gpus[0].name} shares its memory with the system: device plugins before v25.10 crash on it"
    if machine.driver_trouble and machine.nvidia_cards and wish.driver == "auto":
        yield f"there is a GPU and its driver does not answer ({machine.driver_trouble}): the operator will bring one"
    if wish.driver == "operator" and machine.driver:
        yield f"this host has the driver {machine.driver}: the operator cannot load a second one beside it"
