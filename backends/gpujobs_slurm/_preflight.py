"""Refuse at once what a cluster could never run, and say what it could."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gpujobs.errors import GpuJobsError, PreflightError
from gpujobs.units import format_memory
from gpujobs_slurm._containers import runtime_for
from gpujobs_slurm._gres import Gres, gres_option, parse_gres
from gpujobs_slurm._refuse import refuse
from gpujobs_slurm._script import minutes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gpujobs.specs import GpuJob, GpuService
    from gpujobs_slurm._facts import Facts, Node, Partition
    from gpujobs_slurm._probe import Layout

_MIB = 2**20


def preflight_error(
    spec: GpuJob | GpuService, facts: Facts, layout: Layout, gpu_types: Mapping[str, str]
) -> GpuJobsError | None:
    """None, or why no node of any queue it names could ever run it. What is only busy, down or drained may come."""
    try:
        job = refuse(spec)
        runtime_for(job, facts)
        gres = parse_gres(gres_option(job.gpus, gpu_types, facts.gpu_types)) if job.gpus else []
        _check_queue(job, layout)
        _check_array(job, facts)
        _check_nodes(job, gres[0] if gres else None, layout)
    except GpuJobsError as e:
        return e
    return None


def _queues(job: GpuJob, layout: Layout) -> list[Partition]:
    """The queues it may run in; empty where that is not known."""
    if job.queue is None:
        return [layout.default] if layout.default else []
    names = job.queue.split(",")
    return [p for p in layout.partitions if p.name in names]


def _check_queue(job: GpuJob, layout: Layout) -> None:
    names = [p.name for p in layout.partitions]
    for name in job.queue.split(",") if job.queue else ():
        if name not in names:
            raise PreflightError(f"queue: there is no partition {name!r}.", next_step=f"There are: {', '.join(names)}.")
    if job.queue is None and layout.default is None and names:
        raise PreflightError(
            "queue: this cluster has no default partition.", next_step=f"Name one: {', '.join(names)}."
        )
    queues = _queues(job, layout)
    if job.time_limit is not None and queues and all(_too_long(job, q) for q in queues):
        longest = max(queues, key=lambda q: q.max_time or 0)
        raise PreflightError(
            f"time_limit: {minutes(job.time_limit)} minutes are asked for; "
            f"queue {longest.name} gives at most {(longest.max_time or 0) // 60}.",
            next_step="Ask for less time, or choose another queue.",
        )


def _too_long(job: GpuJob, queue: Partition) -> bool:
    return queue.max_time is not None and job.time_limit is not None and minutes(job.time_limit) * 60 > queue.max_time


def _check_array(job: GpuJob, facts: Facts) -> None:
    if job.array is not None and job.array > facts.max_array:
        raise PreflightError(
            f"array: {job.array} elements are asked for; the cluster's MaxArraySize allows {facts.max_array}.",
            next_step="Split it.",
        )


def _check_nodes(job: GpuJob, gres: Gres | None, layout: Layout) -> None:
    queues = _queues(job, layout)
    nodes = [n for n in layout.nodes if not queues or any(q.name in n.partitions for q in queues)]
    if not nodes:
        return
    if gres is not None:
        nodes = _with_gpus(job, gres, nodes, layout)
    cpus = math.ceil(job.cpus) if job.cpus else job.tasks_per_node
    nodes = _enough(nodes, lambda n: n.cpus, cpus, "cpus", str)
    if job.memory is not None:
        nodes = _enough(nodes, lambda n: n.memory, -(-job.memory // _MIB), "memory", lambda m: format_memory(m * _MIB))
    if len(nodes) < job.nodes:
        raise PreflightError(
            f"nodes: {job.nodes} are asked for, but only {len(nodes)} have what each needs.", next_step="Ask for fewer."
        )


def _with_gpus(job: GpuJob, gres: Gres, nodes: Sequence[Node], layout: Layout) -> list[Node]:
    able = [n for n in nodes if n.total(gres.kind, gres.type) >= gres.count]
    if able:
        return able
    wish = f"{gres.type}:{gres.count}" if gres.type else str(gres.count)
    here = _offers(nodes, gres.kind)
    elsewhere = _offers(layout.nodes, gres.kind)
    most = max((n.total(gres.kind, gres.type) for n in nodes), default=0)
    if most:
        message = f"gpus: {gres.count} per node are asked for; no node has more than {most}"
    else:
        message = f"gpus: no node has {gres.kind}:{wish}"
    where = f"There are: {here}" if here else f"Other queues have: {elsewhere}" if elsewhere else "There are none"
    more = f" Use nodes={-(-gres.count * job.nodes // most)} with {most} each." if most else ""
    raise PreflightError(f"{message}.", next_step=f"{where}.{more}")


def _offers(nodes: Sequence[Node], kind: str) -> str:
    """``up to 4 h100 (n1, n2), 2 a100 (n3)``: the most of each kind that one node has."""
    found: dict[tuple[str, int], list[str]] = {}
    for node in nodes:
        for gres in node.gres:
            if gres.kind == kind:
                found.setdefault((gres.type, gres.count), []).append(node.name)
    return ", ".join(
        f"{count} {type_ or kind} on {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        for (type_, count), names in found.items()
    )


def _enough(
    nodes: Sequence[Node], of: Callable[[Node], int], wanted: int, field: str, show: Callable[[int], str]
) -> list[Node]:
    able = [n for n in nodes if of(n) >= wanted]
    if not able:
        most = max(map(of, nodes))
        raise PreflightError(
            f"{field}: {show(wanted)} per node are asked for; no node of this kind has more than {show(most)}.",
            next_step=f"Ask for at most {show(most)}.",
        )
    return able
