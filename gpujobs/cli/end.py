"""``cancel``, ``delete`` and ``gc``: what ends workloads and their records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gpujobs.cli import _options as options
from gpujobs.cli import _output as output
from gpujobs.cli import _types as types
from gpujobs.cli._verb import pass_app, verb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from gpujobs.cli._context import App
    from gpujobs.refs import Ref


@verb("gpujobs cancel slurm://lab/1234")
@options.json_output
@options.refs
@pass_app
def cancel(app: App, *, refs: tuple[Ref, ...], json_: bool) -> None:
    """End workloads and keep their records.

    One that has ended already is no error. Prints the refs.
    """
    app.client.cancel(refs)
    _show(refs, json_=json_)


@verb("gpujobs delete slurm://lab/1234")
@options.json_output
@options.refs
@pass_app
def delete(app: App, *, refs: tuple[Ref, ...], json_: bool) -> None:
    """Remove the records of finished workloads.

    The log and the key go with the record. A job that runs is refused; a service is ended and removed. Prints the refs.
    """
    app.client.delete(refs)
    _show(refs, json_=json_)


@verb("gpujobs gc --older-than 7d --dry-run")
@click.option("--older-than", type=types.AGE, required=True, help="Since their end: 7d, 12h; 0s means all.")
@click.option("--dry-run", is_flag=True, help="Print the refs, remove nothing.")
@options.target
@options.json_output
@pass_app
def gc(
    app: App,
    *,
    older_than: timedelta,
    dry_run: bool,
    target: str | None,
    json_: bool,
) -> None:
    """Remove the records of jobs that ended long ago.

    Prints the refs that went; with --dry-run those that would go.
    """
    _show(app.client.gc(older_than=older_than, target=target, dry_run=dry_run), json_=json_)


def _show(refs: Sequence[Ref], *, json_: bool) -> None:
    if json_:
        output.as_json([str(ref) for ref in refs])
    else:
        for ref in refs:
            output.line(str(ref))
