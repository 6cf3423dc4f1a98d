"""What tab completion offers besides verbs and options: target names, and refs where asking for them is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.cli._context import App

if TYPE_CHECKING:
    import click

_CHEAP = "local"
_MOST = 50


def complete_targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names of the configured targets."""
    del ctx, param
    from gpujobs.config import Config  # noqa: PLC0415  # only while completing
    from gpujobs.errors import GpuJobsError  # noqa: PLC0415

    try:
        names = sorted(Config.load().all_targets)
    except GpuJobsError:  # a broken file is said by the command itself, not by the tab key
        return []
    return [name for name in names if name.startswith(incomplete)]


def complete_refs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The newest refs of the targets on this machine; nothing is asked over a network."""
    del param
    from gpujobs.errors import GpuJobsError  # noqa: PLC0415  # only while completing

    app = ctx.find_object(App) or App()
    found: list[str] = []
    try:
        for name, table in app.client.config.all_targets.items():
            if table.backend == _CHEAP:
                found += [str(s.ref) for s in app.client.list_jobs(target=name, finished=True, limit=_MOST)]
    except GpuJobsError:
        return []
    return [ref for ref in found if ref.startswith(incomplete)]
