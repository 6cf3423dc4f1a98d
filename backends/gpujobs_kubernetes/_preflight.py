"""What could never run here, refused at once with what would be possible; what might run later never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.errors import PreflightError
from gpujobs_kubernetes._capacity import requests
from gpujobs_kubernetes._fit import misfit
from gpujobs_kubernetes._tables import inside, rows

if TYPE_CHECKING:
    from gpujobs.gpu import Gpu
    from gpujobs_kubernetes._api import Table
    from gpujobs_kubernetes._facts import Facts

_SHOWN = 5


def refusal(pod: Table, gpu: Gpu | None, facts: Facts) -> PreflightError | None:
    """Why no node of the cluster can ever run the pod, or None."""
    nodes = facts.nodes
    # The first node that fits is enough: thousands of jobs are checked, on hundreds of nodes.
    if not nodes or any(not misfit(pod, node) for node in nodes):
        return None
    why = {node.name: misfit(pod, node) for node in nodes}
    wanted = requests(pod)
    if gpu is not None and gpu.type is not None and not _offers_product(pod, facts):
        return PreflightError(
            f"gpus: no node has a GPU of type {gpu.type!r}.",
            next_step=f"There are: {', '.join(facts.products) or 'none with a product label'}. "
            "[targets.NAME.gpu_types] can map names.",
        )
    for resource, count in wanted.items():
        most = max((n.gpus.get(resource, 0) for n in nodes), default=0)
        if count > most:
            offered = sorted({f"{total} {r}" for n in nodes for r, total in n.gpus.items()})
            return PreflightError(
                f"gpus: {count} {resource} on one node are asked for, but no node has more than {most}.",
                next_step=f"Per node there are at most: {', '.join(offered) or 'no GPUs'}.",
            )
    shown = [f"{name}: {text}" for name, text in sorted(why.items())]
    more = f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return PreflightError(
        f"No node of this cluster can ever run it. {'; '.join(shown[:_SHOWN])}{more}.",
        next_step="Change what the nodes cannot offer, or submit without preflight if nodes are to come.",
    )


def _offers_product(pod: Table, facts: Facts) -> bool:
    required = inside(pod, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    values: set[str] = {
        value
        for term in rows(required, "nodeSelectorTerms")
        for expression in rows(term, "matchExpressions")
        if expression["key"].endswith("gpu.product")
        for value in expression["values"]
    }
    return bool(values & set(facts.products))
