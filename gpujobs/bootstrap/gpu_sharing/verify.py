"""Whether GPUs are really shared: as many pods at once as were asked for, on no more GPUs than there are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gpujobs.bootstrap.gpu_operator.verify import runtime_class
from gpujobs.bootstrap.gpu_sharing.sharing import expectations
from gpujobs.bootstrap.kubernetes.facts import gather_cluster
from gpujobs.bootstrap.kubernetes.trial import IMAGE, Trial, run_trial
from gpujobs.bootstrap.verify import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.bootstrap.gpu_sharing.wish import SharingWish
    from gpujobs.bootstrap.kubernetes.cluster import Cluster
    from gpujobs.bootstrap.kubernetes.facts import ClusterFacts, NodeFact
    from gpujobs.bootstrap.kubernetes.trial import Outcome

_MOST_PODS = 32


def verify(cluster: Cluster, wish: SharingWish, *, image: str = IMAGE, timeout_s: float = 300) -> Iterator[Check]:
    """Prove it on every node that is to share: the number it hands out, then that many pods at once.

    Raises:
        UnavailableError: The cluster cannot be reached.
    """
    facts = gather_cluster(cluster)
    wanted = expectations(wish, facts)
    if not wanted:
        yield Check("Some node has GPUs to share", ok=False, detail="no node has GPUs that were counted")
    for name, (resource, number) in wanted.items():
        node = facts.node(name)
        seen = node.allocatable.get(resource, 0) if node else 0
        yield Check(f"{name} hands out {number} {resource}", seen == number, f"it hands out {seen}")
        sharing = wish.of(name)
        if node is not None and seen == number and sharing is not None and sharing.replicas > 1:
            yield _together_check(cluster, facts, node, resource, sharing.replicas, image, timeout_s)


def _together_check(  # noqa: PLR0917  # one thing each, called once
    cluster: Cluster, facts: ClusterFacts, node: NodeFact, resource: str, replicas: int, image: str, timeout_s: float
) -> Check:
    number = min(node.physical * replicas, _MOST_PODS)
    trial = Trial(
        node.labels.get("kubernetes.io/hostname", node.name), resource, number, image, runtime_class(facts), "default",
        timeout_s,
    )  # fmt: skip
    return judge(node, replicas, number, run_trial(cluster, trial))


def judge(node: NodeFact, replicas: int, number: int, outcome: Outcome) -> Check:
    """Whether so many pods ran at once and shared GPUs, as a pure function."""
    title = f"{number} pods run at once on the {node.physical} GPUs of {node.name}"
    if outcome.running < number:
        return Check(title, ok=False, detail=f"{outcome.running} of {number} ran: {outcome.why}")
    per_gpu = Counter(outcome.uuids)
    most = max(per_gpu.values(), default=0)
    shared = len(outcome.uuids) == number and len(per_gpu) <= node.physical and 1 < most <= replicas
    detail = f"{most} pods on {per_gpu.most_common(1)[0][0]}" if per_gpu else "they saw no GPU"
    return Check(title, shared, detail, "" if shared else "\n".join(outcome.gpus))
