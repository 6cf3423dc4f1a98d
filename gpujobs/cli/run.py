"""``gpujobs run``: submit, follow, and end as the job ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gpujobs.cli import _options as options
from gpujobs.cli import _output as output
from gpujobs.cli._errors import Misuse
from gpujobs.cli._interrupt import leaving_open
from gpujobs.cli._verb import pass_app, verb

if TYPE_CHECKING:
    from gpujobs.cli._context import App
    from gpujobs.cli._follow import OnInterrupt
    from gpujobs.job import Job


class _CommandLast(options.WorkloadVerb):
    """The first word that is no option begins the command, so ``--`` may be left out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.allow_interspersed_args = False


@verb(
    "gpujobs run --gpus 1 --time 2h --file train.py -- sh -c 'python $GPUJOBS_FILES/train.py'",
    "gpujobs run --target lab --on-interrupt cancel -- nvidia-smi -L",
    cls=_CommandLast,
)
@options.workload
@click.option("-d", "--detach", is_flag=True, help="Print the ref and leave it running.")
@click.option(
    "--on-interrupt",
    type=click.Choice(["detach", "cancel", "ask"]),
    help="What Ctrl-C does: leave it running, end it, or ask. By default ask on a terminal, else detach.",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not say on stderr where things stand.")
@options.sending
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[--] CMD...")
@pass_app
@click.pass_context
def run(
    ctx: click.Context,
    app: App,
    /,
    *,
    command: tuple[str, ...],
    target: str | None,
    idempotency_key: str | None,
    no_preflight: bool,
    dry_run: bool,
    json_: bool,
    detach: bool,
    on_interrupt: OnInterrupt | None,
    quiet: bool,
    **given: Any,
) -> int:
    """Submit a command, follow its log, exit with its exit code.

    The log goes to stdout byte for byte, where things stand to stderr. Exit codes besides the job's own: 128+n for
    signal n, 124 time limit or deadline, 130 cancelled, 1 failed without a code, 125 gpujobs itself failed. With --json
    the log goes to stderr and the final status, as JSON, to stdout.
    """
    from gpujobs.cli import _sending as sending  # noqa: PLC0415  # `--help` needs no model
    from gpujobs.cli._workload import wanted  # noqa: PLC0415

    if on_interrupt and detach:
        raise Misuse("--detach follows nothing that could be interrupted.", "Drop --on-interrupt, or --detach.")
    found = wanted(ctx, given, command=command, file=None)
    if dry_run:
        return sending.show(app, found, target=target, key=idempotency_key, json_=json_)
    with leaving_open(app):
        job = app.client.submit(
            found.workload, target=target, idempotency_key=idempotency_key, preflight=not no_preflight
        )
    if detach:
        return sending.tell(job, found, json_=json_)
    try:
        return _follow(app, job, on_interrupt=on_interrupt, quiet=quiet, json_=json_, copies=_copies(found.workload))
    except KeyboardInterrupt:  # before the follower listens, or after
        output.note(f"left {job.ref} as it is")
        return 130


def _copies(workload: Any) -> int:
    """How many copies write the log."""
    if workload.kind == "service":
        return int(workload.replicas)
    return int((workload.array or 1) * workload.nodes)


def _follow(app: App, job: Job, *, on_interrupt: OnInterrupt | None, quiet: bool, json_: bool, copies: int) -> int:
    from gpujobs.cli._exits import exit_code  # noqa: PLC0415  # see run
    from gpujobs.cli._follow import Detached, Follower, interrupt_choice  # noqa: PLC0415
    from gpujobs.cli._log import LogWriter  # noqa: PLC0415
    from gpujobs.cli._progress import Progress  # noqa: PLC0415

    progress = Progress(quiet=quiet)
    if not quiet:
        progress.say(f"submitted {job.ref}")
    follower = Follower(
        app.client,
        job.ref,
        writer=LogWriter(prefix=copies > 1, to_stderr=json_),
        progress=progress,
        on_interrupt=interrupt_choice(on_interrupt),
    )
    try:
        status = follower.to_end()
    except Detached as e:
        return e.exit_code
    progress.finish([status])
    if json_:
        output.as_json(status.to_dict())
    return exit_code(status)
