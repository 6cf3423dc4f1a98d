"""``exec``, ``scale``, ``restart`` and ``update``: what is done to a workload that runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from gpujobs.cli import _options as options
from gpujobs.cli import _output as output
from gpujobs.cli import _types as types
from gpujobs.cli._errors import Misuse
from gpujobs.cli._verb import WordsAfter, pass_app, verb, words_after
from gpujobs.errors import SpecError

if TYPE_CHECKING:
    from datetime import timedelta

    from gpujobs.cli._context import App
    from gpujobs.refs import Ref

_wait = click.option("--wait", is_flag=True, help="Return only when all copies are ready.")


@verb(
    "gpujobs exec slurm://lab/1234 -- nvidia-smi",
    "gpujobs exec kubernetes://prod/ml/service/api --replica 2 -- sh",
    name="exec",
    cls=WordsAfter,
)
@click.option("--replica", type=types.NATURAL, default=0, help="In which copy; 0.")
@click.option("-i", "--stdin", "stdin", is_flag=True, help="Pass on what comes on stdin.")
@options.one_ref
@pass_app
@click.pass_context
def exec_(ctx: click.Context, app: App, *, ref: Ref, replica: int, stdin: bool) -> int:
    """Run a command inside a running workload.

    On a terminal it is interactive. Exits with the exit code of the command.
    """
    words = words_after(ctx)
    if not words:
        raise Misuse("There is no command to run.", f"Write it after --: `gpujobs exec {ref} -- nvidia-smi`.")
    if not stdin and sys.stdin is not None and sys.stdin.isatty() and output.is_terminal(sys.stdout):
        return app.client.exec_interactive(ref, words, replica=replica)
    given = sys.stdin.buffer.read() if stdin and sys.stdin is not None else None
    result = app.client.exec(ref, words, replica=replica, stdin=given)
    output.write(result.stdout)
    output.flush()
    sys.stderr.buffer.write(result.stderr)
    sys.stderr.buffer.flush()
    return result.exit_code


@verb("gpujobs scale kubernetes://prod/ml/service/api 4 --wait --timeout 5m")
@_wait
@options.time_out
@options.one_ref
@click.argument("replicas", type=types.NATURAL, metavar="N")
@pass_app
def scale(app: App, *, ref: Ref, replicas: int, wait: bool, timeout: timedelta | None) -> None:
    """Change the number of copies of a service.

    0 suspends it.
    """
    app.client.scale(ref, replicas)
    _done(app, ref, wait=wait, timeout=timeout)


@verb("gpujobs restart kubernetes://prod/ml/service/api")
@_wait
@options.time_out
@options.one_ref
@pass_app
def restart(app: App, *, ref: Ref, wait: bool, timeout: timedelta | None) -> None:
    """Replace every copy of a service, a few at a time."""
    app.client.restart(ref)
    _done(app, ref, wait=wait, timeout=timeout)


@verb("gpujobs update kubernetes://prod/ml/service/api service.yaml --wait")
@_wait
@options.time_out
@options.one_ref
@click.argument("file", type=click.Path(allow_dash=True), metavar="FILE")
@pass_app
def update(app: App, *, ref: Ref, file: str, wait: bool, timeout: timedelta | None) -> None:
    """Roll out another definition of a service.

    FILE as for submit; - is stdin.
    """
    from gpujobs.cli._source import read_file  # noqa: PLC0415  # `--help` needs no model
    from gpujobs.specs import GpuService  # noqa: PLC0415

    workload, lost = read_file(file)
    if not isinstance(workload, GpuService):
        raise SpecError(f"{file} describes a job, not a service.", next_step="Write `kind: service` and its fields.")
    app.client.update(ref, workload)
    for text in lost:
        output.note(f"not expressed: {text}")
    _done(app, ref, wait=wait, timeout=timeout)


def _done(app: App, ref: Ref, *, wait: bool, timeout: timedelta | None) -> None:
    if wait:
        app.client.wait_ready(ref, timeout=timeout.total_seconds() if timeout else None)
    output.line(str(ref))
