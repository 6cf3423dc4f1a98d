"""The command line as a whole: which verbs there are, and how every one of them ends."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, cast

import click

from gpujobs.cli._context import App
from gpujobs.cli._errors import Misuse, report
from gpujobs.cli._output import closed_pipe, quiet_logging, to_stderr
from gpujobs.cli._verb import SETTINGS, debug_option, example

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["App", "run_app"]

_COMPLETE = "_GPUJOBS_COMPLETE"

# Listed here so that `gpujobs --help` imports no verb; a test holds these lines to the verbs' own.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Submit": {
        "run": ("run", "Submit a command, follow its log, exit with its exit code."),
        "submit": ("submit", "Submit a command or a file and print the ref."),
        "render": ("submit", "Print exactly what submit would send."),
    },
    "Look": {
        "status": ("look", "Show where workloads stand."),
        "ps": ("ps", "List the workloads of a target."),
        "logs": ("logs", "Print what a workload wrote."),
        "wait": ("wait", "Wait until workloads have ended."),
        "explain": ("look", "Say why a workload waits or failed, and what to do."),
        "capacity": ("look", "Show the GPUs of a target and which are free."),
    },
    "Change": {
        "cancel": ("end", "End workloads and keep their records."),
        "delete": ("end", "Remove the records of finished workloads."),
        "gc": ("end", "Remove the records of jobs that ended long ago."),
        "exec": ("change", "Run a command inside a running workload."),
        "scale": ("change", "Change the number of copies of a service."),
        "restart": ("change", "Replace every copy of a service, a few at a time."),
        "update": ("change", "Roll out another definition of a service."),
    },
    "Set up": {
        "targets": ("targets", "List, show, check and log in to targets; print their rights."),
        "doctor": ("machines", "Find what is wrong with this machine or cluster, and the fix."),
        "bootstrap": ("machines", "Turn a bare machine into a GPU cluster."),
        "schema": ("schema", "Print the JSON Schema of a workload."),
        "completion": ("completion", "Print or install tab completion for a shell."),
    },
}
VERBS = {name: place for verbs in SECTIONS.values() for name, place in verbs.items()}


class _Root(click.Group):
    """The verbs, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, in the order of the help."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one verb."""
        if cmd_name not in VERBS:
            return None
        ctx.ensure_object(App).verb = cmd_name
        module = importlib.import_module(f"gpujobs.cli.{VERBS[cmd_name][0]}")
        return cast("click.Command", getattr(module, f"{cmd_name}_" if cmd_name == "exec" else cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the first word names.

        Raises:
            Misuse: It names none.
        """
        if args[0] not in VERBS and not ctx.resilient_parsing:
            import difflib  # noqa: PLC0415  # only for a slip of the finger

            close = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f"Did you mean `gpujobs {close[0]}`? " if close else ""
            raise Misuse(f"There is no verb {args[0]!r}.", f"{hint}`gpujobs --help` lists the verbs.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs by section, from the table above."""
        del ctx
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in verbs.items()])


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click's signature
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version  # noqa: PLC0415  # first use

        click.echo(f"gpujobs {version('gpujobs')}")
        ctx.exit()


@click.group(
    cls=_Root,
    context_settings=SETTINGS,
    epilog=example("gpujobs run --gpus 1 -- nvidia-smi -L"),
)
@debug_option
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Print it.")
def root() -> None:
    """GPU workloads on this machine, Slurm and Kubernetes: one model, one set of verbs."""


def run_app(app: App, argv: Sequence[str] | None) -> int:
    """Run one command line; every way it can end becomes an exit code here."""
    quiet_logging()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _invoke(app, words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        return closed_pipe()
    except KeyboardInterrupt:
        if app.verb != "logs":
            to_stderr("Interrupted; what was submitted goes on.\n")
        return 130
    except Exception as e:  # noqa: BLE001  # the edge: whatever it is becomes two lines
        return report(app, e)
    finally:
        app.close()
    return code


def _invoke(app: App, words: list[str]) -> int:
    """Find the verb and run it; click's own ``main`` has other ideas of interrupts and closed pipes."""
    asked = os.environ.get(_COMPLETE)
    if asked:
        from click.shell_completion import shell_complete  # noqa: PLC0415  # only for the tab key

        return shell_complete(root, {"obj": app}, "gpujobs", _COMPLETE, asked)
    try:
        with root.make_context("gpujobs", words or ["--help"], obj=app) as ctx:
            result = root.invoke(ctx)
    except click.exceptions.Exit as e:
        return e.exit_code
    return result if isinstance(result, int) else 0
