"""Why a job waits, with numbers: GPUs free by node, jobs ahead, when Slurm expects to start it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.errors import UnavailableError
from gpujobs.reasons import Reason
from gpujobs.results import Explanation
from gpujobs.states import State, from_epoch, rfc3339
from gpujobs_slurm._facts import parse_fields
from gpujobs_slurm._gres import Gres, parse_gres
from gpujobs_slurm._names import read_comment
from gpujobs_slurm._rows import EXACT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.states import Status
    from gpujobs_slurm._facts import Node
    from gpujobs_slurm._probe import Layout, Probe
    from gpujobs_slurm._transport import Transport

_COMPETING = frozenset(
    {
        Reason.PRIORITY,
        Reason.INSUFFICIENT_GPU,
        Reason.INSUFFICIENT_RESOURCES,
        Reason.QUEUED,
        Reason.NODE_UNAVAILABLE,
        Reason.UNSCHEDULABLE,
        Reason.PARTITION_LIMIT,
    }
)
_TIMEOUT_S = 20.0
_MANY_NODES = 8


class Explainer:
    """Explains statuses of one target."""

    def __init__(self, transport: Transport, probe: Probe) -> None:
        self._transport = transport
        self._probe = probe

    def explain(self, status: Status) -> Explanation:
        """The cause, and what can be counted."""
        cause = status.reason
        plain = {State.RUNNING: f"It runs on {', '.join(status.nodes)}.", State.SUCCEEDED: "It ended well."}
        summary = cause.message if cause else plain.get(status.state, f"It is {status.state}.")
        step = cause.next if cause else ""
        details: list[str] = []
        if status.state is State.PENDING and cause is not None and cause.code in _COMPETING:
            try:
                numbers, details = self._numbers(status)
            except UnavailableError as e:
                numbers, details = "", [e.message]
            summary = f"{summary.removesuffix('.')}{numbers}."
        if status.native.state:
            words = f"Slurm says {status.native.state}"
            details.append(words + (f", reason {status.native.reason}." if status.native.reason else "."))
        return Explanation(status.ref, status.state, summary, step, tuple(details))

    def _numbers(self, status: Status) -> tuple[str, list[str]]:
        job_id = status.ref.id
        shown = self._run(["scontrol", "show", "job", "--oneliner", job_id])
        values = parse_fields(shown.splitlines()[0]) if shown.strip() else {}
        partition = values.get("Partition", "").split(",")[0]
        layout = self._probe.layout(fresh_s=0.0)
        gres = _wanted(values)
        details = _free(gres, layout.of(partition or None)) if gres else []
        numbers = _counted(gres, layout.of(partition or None)) if gres else ""
        ahead = self._ahead(values, partition)
        if ahead:
            numbers += f"; {ahead} job{'s' if ahead > 1 else ''} ahead in queue {partition}"
        start = values.get("StartTime", "")
        if start.isdigit() and int(start):
            details.append(f"Slurm expects to start it at {rfc3339(from_epoch(int(start)))}.")
        details += _out_of_service(layout)
        return numbers, details

    def _ahead(self, values: dict[str, str], partition: str) -> int:
        """Pending jobs of the queue with more priority, or as much and an earlier turn."""
        mine = int(values["Priority"]) if values.get("Priority", "").isdigit() else 0
        job_id = int(values["JobId"]) if values.get("JobId", "").isdigit() else 0
        if not mine or not partition:
            return 0
        rows = self._run(["squeue", "-h", "-t", "PD", "-p", partition, "-o", "%Q %A"]).split("\n")
        pairs = [r.split() for r in rows if r.strip()]
        return sum((int(q), -int(a)) > (mine, -job_id) for q, a in pairs if q.isdigit() and a.isdigit())

    def _run(self, argv: list[str]) -> str:
        done = self._transport.call("run", argv, b"", _TIMEOUT_S, EXACT)
        text: str = done["out"].decode(errors="replace") if done["rc"] == 0 else ""
        return text


def _wanted(values: dict[str, str]) -> Gres | None:
    text = values.get("TresPerNode") or (read_comment(values.get("Comment", "")) or {}).get("gres", "")
    found = parse_gres(text) if text else []
    return found[0] if found else None


def _counted(gres: Gres, nodes: Sequence[Node]) -> str:
    able = [n for n in nodes if n.total(gres.kind, gres.type) >= gres.count]
    kind = gres.type or gres.kind
    if not able:
        return f": it needs {gres.count} {kind} on one node, and no node has that many"
    best = max(able, key=lambda n: n.free(gres.kind, gres.type) if n.available else -1)
    return (
        f": it needs {gres.count} {kind}; {best.free(gres.kind, gres.type)} of "
        f"{best.total(gres.kind, gres.type)} are free on {best.name}"
    )


def _free(gres: Gres, nodes: Sequence[Node]) -> list[str]:
    able = [n for n in nodes if n.total(gres.kind, gres.type)]
    lines = [
        f"{n.name}: {n.free(gres.kind, gres.type)} of {n.total(gres.kind, gres.type)} "
        f"{gres.type or gres.kind} free; {n.cpus - n.cpus_used} of {n.cpus} CPUs, "
        f"{(n.memory - n.memory_used) // 1024} of {n.memory // 1024} GiB" + ("" if n.available else f" ({n.state})")
        for n in able[:_MANY_NODES]
    ]
    return [*lines, f"... and {len(able) - _MANY_NODES} more nodes"] if len(able) > _MANY_NODES else lines


def _out_of_service(layout: Layout) -> list[str]:
    down = [n for n in layout.nodes if not n.available]
    return [f"{n.name} takes no jobs: {n.state}" + (f" ({n.reason})" if n.reason else "") for n in down[:_MANY_NODES]]
