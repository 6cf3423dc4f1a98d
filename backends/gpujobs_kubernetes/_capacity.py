"""Which GPUs a cluster has, and which are free: its nodes, less what its pods hold."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gpujobs.results import Capacity, GpuCapacity
from gpujobs_kubernetes._facts import COPIES, GPU, MEMORY, MIG, SHARED
from gpujobs_kubernetes._quantity import whole
from gpujobs_kubernetes._tables import inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpujobs_kubernetes._facts import NodeFacts

TIME_SLICED = "On time-sliced GPUs memory is not isolated: one job can take the memory of all that share the GPU."
_MIB = 2**20
Held = Counter[tuple[str, str]]
"""How much of a resource the pods of a node hold, by (node, resource)."""


def held(pods: Iterable[Mapping[str, Any]]) -> Held:
    """What pods that may run hold, by node and GPU resource."""
    found: Held = Counter()
    for pod in pods:
        spec, status = inside(pod, "spec"), inside(pod, "status")
        node = spec.get("nodeName")
        if not node or status.get("phase") in {"Succeeded", "Failed"}:
            continue
        for resource, amount in requests(spec).items():
            found[node, resource] += amount
    return found


def requests(spec: Mapping[str, Any]) -> Counter[str]:
    """The GPU resources of one pod: of all its containers, or of the greediest init container."""
    running: Counter[str] = Counter()
    for container in spec.get("containers") or ():
        running.update(_of(container))
    for container in spec.get("initContainers") or ():
        running |= _of(container)
    return running


def _of(container: Mapping[str, Any]) -> Counter[str]:
    limits: Mapping[str, str] = inside(container, "resources", "limits")
    return Counter({k: whole(v) for k, v in limits.items() if k in {GPU, SHARED} or k.startswith(MIG)})


def capacity_of(nodes: Sequence[NodeFacts], taken: Held) -> Capacity:
    """All GPUs by node and kind, and which are free."""
    gpus: list[GpuCapacity] = []
    for node in sorted(nodes, key=lambda n: n.name):
        gpus += [_entry(node, resource, total, taken) for resource, total in sorted(node.gpus.items())]
    notes = (TIME_SLICED,) if any(g.sharing == "time-slice" for g in gpus) else ()
    return Capacity(tuple(gpus), notes)


def _entry(node: NodeFacts, resource: str, total: int, taken: Held) -> GpuCapacity:
    mig = resource.removeprefix(MIG) if resource.startswith(MIG) else None
    memory = node.labels.get(MEMORY, "")
    copies = node.labels.get(COPIES, "1")
    shared = mig is None and node.strategy != "exclusive"
    return GpuCapacity(
        node=node.name,
        type=mig or node.product or "unknown",
        total=total,
        free=max(0, total - taken[node.name, resource]),
        memory=int(memory) * _MIB if mig is None and memory.isdigit() else None,
        sharing="mig" if mig else node.strategy,
        copies=int(copies) if shared and copies.isdigit() else 1,
        available=not node.unready,
        note=node.unready,
    )
