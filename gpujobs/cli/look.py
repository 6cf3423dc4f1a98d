"""``status``, ``explain`` and ``capacity``: one look, nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs.cli import _options as options
from gpujobs.cli import _output as output
from gpujobs.cli._text import one_line
from gpujobs.cli._verb import pass_app, verb

if TYPE_CHECKING:
    from gpujobs.cli._context import App
    from gpujobs.refs import Ref
    from gpujobs.results import Capacity


@verb("gpujobs status slurm://lab/1234", "gpujobs status --json local://local/ID | jq -r .state")
@options.json_output
@options.refs
@pass_app
def status(app: App, *, refs: tuple[Ref, ...], json_: bool) -> None:
    """Show where workloads stand.

    With --json one object for one ref, an array for several. A workload that the system does not know is LOST.
    """
    found = app.client.status(refs)
    if json_:
        output.as_json(found[0].to_dict() if len(refs) == 1 else [s.to_dict() for s in found])
        return
    from gpujobs.cli._rows import show_statuses  # noqa: PLC0415  # --json needs no table

    show_statuses(found, why=True)


@verb("gpujobs explain slurm://lab/1234")
@options.json_output
@options.refs
@pass_app
def explain(app: App, *, refs: tuple[Ref, ...], json_: bool) -> None:
    """Say why a workload waits or failed, and what to do.

    With --json one object for one ref, an array for several.
    """
    found = [app.client.explain(ref) for ref in refs]
    if json_:
        output.as_json(found[0].to_dict() if len(refs) == 1 else [e.to_dict() for e in found])
        return
    for explanation in found:
        output.line(one_line(f"{explanation.ref} {explanation.state}: {explanation.summary}"))
        if explanation.next:
            output.line(f"  {one_line(explanation.next)}")
        for detail in explanation.details:
            output.line(f"  - {one_line(detail)}")


@verb("gpujobs capacity --target lab")
@options.target
@options.json_output
@pass_app
def capacity(app: App, *, target: str | None, json_: bool) -> None:
    """Show the GPUs of a target and which are free.

    On shared GPUs the numbers count what is handed out: time-sliced copies, MIG instances, shards.
    """
    found = app.client.capacity(target)
    if json_:
        output.as_json(_as_dict(found))
        return
    from gpujobs.cli import _table as table  # noqa: PLC0415  # --json needs no table
    from gpujobs.units import format_memory  # noqa: PLC0415

    table.show(
        ("NODE", "TYPE", "TOTAL", "FREE", "MEMORY", "SHARING", "NOTE"),
        [
            [
                gpu.node,
                gpu.type,
                str(gpu.total),
                str(gpu.free),
                format_memory(gpu.memory) if gpu.memory else "",
                gpu.sharing + (f" x{gpu.copies}" if gpu.copies > 1 else ""),
                gpu.note if gpu.available else f"takes no work: {gpu.note}",
            ]
            for gpu in found.gpus
        ],
    )
    for text in found.notes:
        output.note(one_line(text))


def _as_dict(found: Capacity) -> dict[str, Any]:
    """The public JSON form: totals, then one entry per node and kind."""
    gpus = [
        {
            "node": gpu.node,
            "type": gpu.type,
            "total": gpu.total,
            "free": gpu.free,
            "memory": gpu.memory,
            "sharing": gpu.sharing,
            "copies": gpu.copies,
            "available": gpu.available,
            "note": gpu.note,
        }
        for gpu in found.gpus
    ]
    return {"total": found.total, "free": found.free, "gpus": gpus, "notes": list(found.notes)}
