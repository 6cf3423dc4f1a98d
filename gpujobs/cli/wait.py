"""``wait``: block until workloads have ended, or a service is ready."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from gpujobs.cli import _options as options
from gpujobs.cli import _output as output
from gpujobs.cli._errors import Misuse
from gpujobs.cli._verb import pass_app, verb

if TYPE_CHECKING:
    from datetime import timedelta

    from gpujobs.cli._context import App
    from gpujobs.refs import Ref
    from gpujobs.states import Status


@verb(
    "gpujobs wait slurm://lab/1234 --timeout 2h", "gpujobs wait --ready kubernetes://prod/ml/service/api --timeout 5m"
)
@options.time_out
@click.option("--first", is_flag=True, help="Return as soon as one of them has ended.")
@click.option("--ready", is_flag=True, help="Wait until all copies of services are ready, instead of for their end.")
@click.option("-q", "--quiet", is_flag=True, help="Do not say where things stand.")
@options.json_output
@options.refs
@pass_app
def wait(
    app: App,
    *,
    refs: tuple[Ref, ...],
    timeout: timedelta | None,
    first: bool,
    ready: bool,
    quiet: bool,
    json_: bool,
) -> int:
    """Wait until workloads have ended.

    Exits as run does for one workload; for several 0 only if all succeeded, else 1. 125 when --timeout passed first.
    """
    from gpujobs.cli._exits import exit_code_of_all  # noqa: PLC0415  # `--help` needs none
    from gpujobs.cli._progress import Progress  # noqa: PLC0415

    if first and ready:
        raise Misuse("--first waits for an end and --ready for a beginning: keep one.")
    seconds = timeout.total_seconds() if timeout else None
    # On a pipe the result alone is told: changes are for somebody who looks on.
    progress = Progress(quiet=quiet or not output.is_terminal(sys.stderr))
    try:
        if ready:
            found = _ready(app, refs, seconds)
        else:
            found = app.client.wait(refs, timeout=seconds, until="first" if first else "all", on_status=progress.update)
    finally:
        progress.pause()
    _show(found, quiet=quiet, json_=json_)
    if ready:
        return 0
    return exit_code_of_all([s for s in found if s.final][:1] if first else found)


def _ready(app: App, refs: tuple[Ref, ...], seconds: float | None) -> list[Status]:
    """Wait for each in turn, all within the one time."""
    now = app.client.clock.monotonic
    end = None if seconds is None else now() + seconds
    return [app.client.wait_ready(r, timeout=None if end is None else max(0.0, end - now())) for r in refs]


def _show(found: list[Status], *, quiet: bool, json_: bool) -> None:
    if json_:
        output.as_json(found[0].to_dict() if len(found) == 1 else [s.to_dict() for s in found])
    elif not quiet:
        from gpujobs.cli._rows import show_statuses  # noqa: PLC0415  # --json needs no table

        show_statuses(found, why=True)
