"""Why a workload waits or failed, with the cluster's own numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.reasons import Reason
from gpujobs.results import Explanation
from gpujobs.states import State
from gpujobs_kubernetes._capacity import TIME_SLICED, requests
from gpujobs_kubernetes._facts import STRATEGY
from gpujobs_kubernetes._fit import free_gpus, misfit
from gpujobs_kubernetes._quantity import whole
from gpujobs_kubernetes._tables import inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.states import Status
    from gpujobs_kubernetes._api import Table
    from gpujobs_kubernetes._capacity import Held
    from gpujobs_kubernetes._facts import NodeFacts

_PLAIN = {
    State.PENDING: "It waits to be started.",
    State.RUNNING: "It is running.",
    State.SUSPENDED: "It is suspended.",
    State.SUCCEEDED: "It ended well.",
    State.CANCELLED: "It was cancelled.",
}
WANTS_NODES = frozenset({Reason.INSUFFICIENT_GPU, Reason.INSUFFICIENT_RESOURCES, Reason.UNSCHEDULABLE})
_MOST_NODES = 20
_LAST_EVENTS = 5


def explanation(
    status: Status,
    pod: Table,
    *,
    nodes: Sequence[NodeFacts] | None,
    taken: Held,
    quotas: Sequence[Table],
    events: Sequence[Table],
) -> Explanation:
    """The explanation of a workload.

    Args:
        status: What is to be explained.
        pod: The spec of its pods.
        nodes: The cluster's nodes, or None where they may not be seen or do not matter.
        taken: What pods hold of them.
        quotas: The namespace's ResourceQuotas, where they matter.
        events: Its events, oldest first.
    """
    cause = status.reason
    summary = cause.message if cause else _PLAIN.get(status.state, f"It is {status.state}.")
    then = cause.next if cause else ""
    details: list[str] = []
    if nodes is not None and cause is not None and cause.code in WANTS_NODES:
        summary = _sentence(summary, pod, nodes, taken)
        lines = free_gpus(pod, nodes, taken)
        more = [f"and {len(lines) - _MOST_NODES} more nodes"] if len(lines) > _MOST_NODES else []
        details += lines[:_MOST_NODES] + more
    details += [line for quota in quotas for line in _quota_lines(quota)]
    if nodes is not None and _shares(status, pod, nodes):
        details.append(TIME_SLICED)
    warnings = [e for e in events if e.get("type") == "Warning"]
    details += [f"event {e.get('reason')}: {e.get('message')}" for e in warnings[-_LAST_EVENTS:]]
    return Explanation(status.ref, status.state, summary, then, tuple(dict.fromkeys(details)))


def _sentence(told: str, pod: Table, nodes: Sequence[NodeFacts], taken: Held) -> str:
    """The numbers first: how many are needed, and where how many are free."""
    wanted = requests(pod)
    if not wanted:
        return told
    resource, count = next(iter(wanted.items()))
    fitting = [n for n in nodes if not n.unready and not misfit(pod, n)]
    free = {n.name: max(0, n.gpus.get(resource, 0) - taken[n.name, resource]) for n in fitting}
    total = sum(n.gpus.get(resource, 0) for n in fitting)
    if not fitting:
        return f"It needs {count} {resource} on one node, and no node can ever offer that. {told}"
    best = max(free, key=lambda name: free[name])
    return (
        f"It needs {count} {resource} on one node; {sum(free.values())} of {total} are free on {len(fitting)} fitting"
        f" node{'s' if len(fitting) > 1 else ''}, at most {free[best]} on one ({best}). {told}"
    )


def _shares(status: Status, pod: Table, nodes: Sequence[NodeFacts]) -> bool:
    if not requests(pod):
        return False
    on = [n for n in nodes if n.name in status.nodes] or [n for n in nodes if not misfit(pod, n)]
    return any(n.strategy == "time-slice" for n in on) or any(STRATEGY in str(t) for t in (pod.get("affinity"),) if t)


def _quota_lines(quota: Table) -> list[str]:
    hard, used = inside(quota, "status", "hard"), inside(quota, "status", "used")
    name = quota["metadata"]["name"]
    return [
        f"quota {name}: {used.get(key, '0')} of {limit} {key} used"
        for key, limit in sorted(hard.items())
        if "gpu" in key or "mig" in key or whole(used.get(key, "0"), milli=True) >= whole(limit, milli=True)
    ]
