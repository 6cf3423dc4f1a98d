"""Which GPUs a cluster has and which are free, from its nodes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpujobs.results import Capacity, GpuCapacity

if TYPE_CHECKING:
    from gpujobs_slurm._facts import Node
    from gpujobs_slurm._probe import Layout

_MIG = re.compile(r"(?:^|_)\d+g\.\d+gb")


def capacity_of(layout: Layout) -> Capacity:
    """One entry per node and kind of GPU; queues as notes."""
    gpus = [entry for node in layout.nodes for entry in _of_node(node)]
    notes = [
        f"queue {p.name}{' (default)' if p.default else ''}: {'up' if p.up else 'down'}, "
        f"{sum(p.name in n.partitions for n in layout.nodes)} nodes"
        + (f", at most {p.max_time // 60} minutes" if p.max_time else "")
        for p in layout.partitions
    ]
    return Capacity(tuple(gpus), tuple(notes))


def _of_node(node: Node) -> list[GpuCapacity]:
    note = "" if node.available else node.state.lower() + (f": {node.reason}" if node.reason else "")
    found: list[GpuCapacity] = []
    for gres in node.gres:
        if gres.kind not in {"gpu", "shard", "mps"}:
            continue
        sharing = "mig" if _MIG.search(gres.type) else "exclusive" if gres.kind == "gpu" else gres.kind
        physical = max(1, node.total("gpu"))
        found.append(
            GpuCapacity(
                node=node.name,
                type=gres.type,
                total=gres.count,
                free=min(gres.count, node.free(gres.kind, gres.type)),
                sharing=sharing,
                copies=max(1, gres.count // physical) if gres.kind == "shard" else 1,
                available=node.available,
                note=note,
            )
        )
    return found
