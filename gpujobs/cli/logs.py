"""``logs``: what a workload wrote."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import click

from gpujobs.cli import _options as options
from gpujobs.cli import _output as output
from gpujobs.cli import _types as types
from gpujobs.cli._interrupt import next_of
from gpujobs.cli._pump import LogPump
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
    log = writer.log(
        app.client,
        ref,
        follow=follow,
        tail=tail,
        replica=replica,
        attempt=attempt,
        since=since,
        stop=_unread if follow else None,
    )
    try:
        if follow and not writer.bare:
            _in_batches(log, writer)
        else:
            _one_by_one(log, writer, at_once=follow)
    finally:
        writer.finish()
    if not follow and not writer.written:
        _check_started(app, ref)
    return 0


def _unread() -> bool:
    """Look, also while nothing comes, whether anybody reads what is written: raises BrokenPipeError."""
    output.check_reader()
    return False


def _one_by_one(log: Iterator[bytes | LogLine], writer: LogWriter, *, at_once: bool) -> None:
    """Write each item; bytes come in large pieces where they come fast, so that each may go out by itself."""
    for item in log:
        writer.write((item,))
        if at_once:
            writer.flush()


def _in_batches(log: Iterator[bytes | LogLine], writer: LogWriter) -> None:
    """Write at once what comes slowly, and many lines at a time when they come fast."""
    done = object()
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    pump = LogPump(log, ready=lambda: events.put(None), done=lambda error: events.put(error or done))
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
