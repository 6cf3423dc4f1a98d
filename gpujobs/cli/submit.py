"""``submit`` and ``render``: a command or a file, sent or only shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gpujobs.cli import _options as options
from gpujobs.cli import _output as output
from gpujobs.cli._interrupt import leaving_open
from gpujobs.cli._verb import pass_app, verb, words_after

if TYPE_CHECKING:
    from gpujobs.cli._context import App

_EVERY = ""
_file = click.argument("file", required=False, metavar="[FILE]", type=click.Path(allow_dash=True))


@verb(
    "gpujobs submit --gpus h100:2 --name train -- python train.py",
    "gpujobs submit job.yaml --target lab --time 2h30m",
    "gpujobs submit job.sbatch --target prod",
    cls=options.WorkloadOrFile,
)
@options.workload
@click.option(
    "--resume", is_flag=False, flag_value=_EVERY, metavar="[KEY]", help="Settle submissions whose outcome is open."
)
@click.option("--abandon", metavar="KEY|FILE", help="Forget an open submission, or an unreadable entry of the journal.")
@options.sending
@_file
@pass_app
@click.pass_context
def submit(
    ctx: click.Context,
    app: App,
    /,
    *,
    file: str | None,
    target: str | None,
    idempotency_key: str | None,
    resume: str | None,
    abandon: str | None,
    no_preflight: bool,
    dry_run: bool,
    json_: bool,
    **given: Any,
) -> int:
    """Submit a command or a file and print the ref.

    FILE is a workload in YAML, TOML or JSON, an sbatch script or a Kubernetes manifest; - is stdin. Options override
    its fields: tables (--env, --label, --file) are merged, lists grow, and a command after -- replaces what it runs.
    """
    if abandon is not None:
        output.note(f"entries forgotten: {app.client.abandon(abandon)}")
        return 0
    if resume is not None:
        return _resume(app, resume or None, json_=json_)
    from gpujobs.cli import _sending as sending  # noqa: PLC0415  # `--help` needs no model
    from gpujobs.cli._workload import wanted  # noqa: PLC0415

    found = wanted(ctx, given, command=words_after(ctx) or (), file=file)
    if dry_run:
        return sending.show(app, found, target=target, key=idempotency_key, json_=json_)
    with leaving_open(app):
        job = app.client.submit(
            found.workload, target=target, idempotency_key=idempotency_key, preflight=not no_preflight
        )
    return sending.tell(job, found, json_=json_)


@verb("gpujobs render job.sbatch --target prod", "gpujobs render --gpus 1 -- nvidia-smi", cls=options.WorkloadOrFile)
@options.workload
@options.json_output
@_file
@pass_app
@click.pass_context
def render(
    ctx: click.Context,
    app: App,
    /,
    *,
    file: str | None,
    target: str | None,
    idempotency_key: str | None,
    json_: bool,
    **given: Any,
) -> int:
    """Print exactly what submit would send.

    Takes what submit takes. Values of secrets are shown as <secret NAME>; nothing is sent.
    """
    from gpujobs.cli import _sending as sending  # noqa: PLC0415  # `--help` needs no model
    from gpujobs.cli._workload import wanted  # noqa: PLC0415

    found = wanted(ctx, given, command=words_after(ctx) or (), file=file)
    return sending.show(app, found, target=target, key=idempotency_key, json_=json_)


def _resume(app: App, key: str | None, *, json_: bool) -> int:
    from gpujobs.cli import _sending as sending  # noqa: PLC0415  # see submit
    from gpujobs.errors import SubmitManyError  # noqa: PLC0415

    try:
        settled = app.client.resume(key)
    except SubmitManyError as e:
        for ref in e.refs:
            if ref is not None:
                output.line(str(ref))
        raise
    if json_:
        output.as_json([sending.as_dict(job) for job in settled])
    else:
        for job in settled:
            output.line(str(job.ref))
    if not settled and not json_:
        output.note("no submission is open")
    return 0
