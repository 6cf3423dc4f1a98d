"""``ps``: what there is on a target, once or again and again."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from gpujobs.cli import _options as options
from gpujobs.cli import _output as output
from gpujobs.cli import _types as types
from gpujobs.cli._verb import pass_app, verb

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from gpujobs.cli._context import App
    from gpujobs.states import Status

_STATES = ["PENDING", "RUNNING", "SUSPENDED", "SUCCEEDED", "FAILED", "CANCELLED", "LOST", "UNKNOWN"]


@verb("gpujobs ps", "gpujobs ps --all --state FAILED --label project=bert --json", "gpujobs ps --watch")
@options.target
@click.option("-a", "--all", "all_", is_flag=True, help="Also those that have ended.")
@click.option("--name", metavar="TEXT", help="Only those of this name.")
@click.option("--label", "labels", type=types.PAIR, multiple=True, help="Only those with this label.")
@click.option(
    "--state", "states", type=click.Choice(_STATES, case_sensitive=False), multiple=True, help="Only in this state."
)
@click.option("--limit", type=types.COUNT, help="The newest so many.")
@click.option("-w", "--watch", is_flag=True, help="Show it again and again until Ctrl-C.")
@click.option("--interval", type=types.DURATION, help="Between two looks of --watch; 2s.")
@options.json_output
@pass_app
def ps(
    app: App,
    *,
    target: str | None,
    all_: bool,
    name: str | None,
    labels: tuple[tuple[str, str], ...],
    states: tuple[str, ...],
    limit: int | None,
    watch: bool,
    interval: timedelta | None,
    json_: bool,
) -> None:
    """List the workloads of a target.

    Newest first; those that have ended only with --all, or if --state names a final state. On a pipe --watch prints
    the rows that changed; with --json a line with the whole array whenever it changed.
    """
    from gpujobs.states import State  # noqa: PLC0415  # `--help` needs none

    wanted = [State(word) for word in states]

    def look() -> list[Status]:
        return app.client.list_jobs(
            target=target,
            finished=all_ or any(state.final for state in wanted),
            name=name,
            labels=dict(labels),
            states=wanted,
            limit=limit,
        )

    if not watch:
        _once(look(), json_=json_)
        return
    pause = interval.total_seconds() if interval else 2.0
    if json_ or not output.is_terminal(sys.stdout):
        _changes(look, pause, json_=json_)
    else:
        _redraw(look, pause)


def _once(found: list[Status], *, json_: bool) -> None:
    if json_:
        output.as_json([s.to_dict() for s in found])
        return
    from gpujobs.cli._rows import show_statuses  # noqa: PLC0415  # --json needs no table

    if found or not output.is_terminal(sys.stdout):
        show_statuses(found)
    else:
        output.note("there is nothing to list; --all shows also what has ended")


def _redraw(look: Callable[[], list[Status]], pause: float) -> None:
    """One table that stays in its place."""
    from rich.console import Console  # noqa: PLC0415  # only a terminal needs it
    from rich.live import Live  # noqa: PLC0415

    from gpujobs.cli._rows import COLUMNS, rows  # noqa: PLC0415
    from gpujobs.cli._table import draw, no_color  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False, no_color=no_color())
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(draw(COLUMNS, rows(look(), person=True), one_line_each=True), refresh=True)
            time.sleep(pause)


def _changes(look: Callable[[], list[Status]], pause: float, *, json_: bool) -> None:
    """Only what is new, line by line."""
    from gpujobs.cli._rows import COLUMNS, rows  # noqa: PLC0415  # see _redraw
    from gpujobs.cli._text import visible  # noqa: PLC0415

    seen: dict[str, Status] = {}
    if not json_:
        output.line("\t".join(COLUMNS))
    while True:
        found = look()
        now = {str(s.ref): s for s in found}
        changed = [s for ref, s in now.items() if seen.get(ref) != s]
        if json_ and (changed or now.keys() != seen.keys()):
            output.json_line([s.to_dict() for s in found])
        for row in [] if json_ else rows(changed, person=False):
            output.line("\t".join(visible(cell) or "-" for cell in row))
        output.flush()
        seen = now
        time.sleep(pause)
        output.check_reader()
