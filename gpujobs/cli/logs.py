"""``logs``: what a workload wrote."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import click

from gpujobs.cli import _options as options
from gpujobs.cli import _types as types
from gpujobs.cli._interrupt import next_of
from gpujobs.cli._pump import LogPump, batches
from gpujobs.cli._verb import pass_app, verb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gpujobs.cli._context import App
    from gpujobs.cli._log import LogWriter
    from gpujobs.refs import Ref
    from gpujobs.results import LogLine


@verb("gpujobs logs -f slurm://lab/1234", "gpujobs logs slurm://lab/1234 --replica 3 --tail 20")
@click.option("-f", "--follow", is_flag=True, help="Go on until the workload has ended.")
@click.option("-n", "--tail", type=types.NATURAL, help="Only the last N lines of each copy.")
@click.option("--replica", type=types.NATURAL, help="Only this copy: array index x node.")
@click.option("--attempt", type=types.NATURAL, help="Only this attempt.")
@click.option("--since", type=types.SINCE, help="Only lines of the last 10m, or since 2026-01-31T12:00:00Z.")
@click.option(
    "--prefix/--no-prefix", default=None, help="Say which copy wrote a line; by default where there are several."
)
@click.option("--timestamps", is_flag=True, help="Say when, where the system records it.")
@options.json_output
@options.one_ref
@pass_app
def logs(
    app: App,
    *,
    ref: Ref,
    follow: bool,
    tail: int | None,
    replica: int | None,
    attempt: int | None,
    since: datetime | None,
    prefix: bool | None,
    timestamps: bool,
    json_: bool,
) -> int:
    """Print what a workload wrote.

    Byte for byte to a pipe; a terminal is shielded from escape sequences other than colours and progress bars. With
    --json one object per line.
    """
    from gpujobs.cli._log import LogWriter  # noqa: PLC0415  # `--help` needs none

    if prefix is None:
        prefix = replica is None and not json_ and app.client.status(ref).replicas.wanted > 1
    writer = LogWriter(prefix=prefix, timestamps=timestamps, as_json=json_)
    lines = app.client.logs(ref, follow=follow, tail=tail, replica=replica, attempt=attempt, since=since)
    try:
        if follow:
            _as_they_come(lines, writer)
        else:
            for batch in batches(lines):
                writer.write(batch)
    finally:
        writer.finish()
    if not follow and not writer.written:
        _check_started(app, ref)
    return 0


def _as_they_come(lines: Iterator[LogLine], writer: LogWriter) -> None:
    """Write at once what comes slowly, and in batches what comes fast."""
    done = object()
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    pump = LogPump(lines, ready=lambda: events.put(None), done=lambda error: events.put(error or done))
    pump.start()
    while True:
        event = next_of(events)
        writer.write(pump.take())
        writer.flush()
        if event is done:
            return
        if isinstance(event, BaseException):
            raise event


def _check_started(app: App, ref: Ref) -> None:
    """An empty log of a workload that has not started would look like one that wrote nothing."""
    from gpujobs.errors import NotFoundError  # noqa: PLC0415  # see logs
    from gpujobs.states import State  # noqa: PLC0415

    status = app.client.status(ref)
    if status.state is State.PENDING and not status.attempt:
        raise NotFoundError(
            f"{ref} has no log yet: it has not started.", next_step=f"Follow it from its start: gpujobs logs -f {ref}"
        )
