"""``doctor`` and ``bootstrap``: the command line of ``gpujobs.bootstrap``, mounted here."""

from __future__ import annotations

import importlib
from typing import Any, cast

import click

from gpujobs.cli._verb import SETTINGS, debug_option, example
from gpujobs.errors import UnsupportedError

_EXAMPLES = {
    "doctor": example("gpujobs doctor", "gpujobs doctor --json"),
    "bootstrap": example("gpujobs bootstrap --help", "gpujobs bootstrap slurm plan"),
}
_MODULE = "gpujobs.bootstrap._cli"
_PASSED_ON: dict[str, Any] = {**SETTINGS, "ignore_unknown_options": True, "allow_interspersed_args": False}


class _Mount(click.Command):
    """Passes every word on, ``--help`` too, to a command that is imported when it is used."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Its own help only where there is nothing to mount."""
        return super().get_help_option(ctx) if _load(self.name or "") is None else None


def _load(verb: str) -> Any:
    """What ``gpujobs.bootstrap`` offers for a verb: a click command, a typer app, or None."""
    try:
        module = importlib.import_module(_MODULE)
    except ModuleNotFoundError as e:
        if e.name != _MODULE:
            raise
        return None
    return getattr(module, "app" if verb == "bootstrap" else verb, None)


def _mounted(verb: str, words: tuple[str, ...]) -> int:
    found = _load(verb)
    if found is None:
        raise UnsupportedError(
            f"`gpujobs {verb}` is not in this build of gpujobs.",
            next_step="Install a release that has gpujobs.bootstrap.",
        )
    if words in {("-h",), ("--help",)}:
        words = ("--help",)
    command = _as_command(found)
    command.epilog = command.epilog or _EXAMPLES[verb]
    try:
        result = command.main(list(words), prog_name=f"gpujobs {verb}", standalone_mode=False)
    except Exception as e:
        if type(e).__name__ == "Abort":  # what click, and the one in typer, make of Ctrl-C
            raise KeyboardInterrupt from e
        raise
    return result if isinstance(result, int) else 0


def _as_command(found: Any) -> click.Command:
    if hasattr(found, "main"):
        return cast("click.Command", found)
    import typer  # noqa: PLC0415  # only if it is a typer app or a function

    app = found
    if not isinstance(app, typer.Typer):
        app = typer.Typer()
        app.command()(found)
    # Its help reads as that of the other verbs.
    app.rich_markup_mode = None
    command = cast("click.Command", typer.main.get_command(app))
    # The words are gpujobs', whose completion is its own.
    command.params = [p for p in command.params if p.name not in {"install_completion", "show_completion"}]
    return command


@click.command(cls=_Mount, context_settings=_PASSED_ON, epilog=_EXAMPLES["doctor"])
@debug_option
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def doctor(words: tuple[str, ...]) -> int:
    """Find what is wrong with this machine or cluster, and the fix."""
    return _mounted("doctor", words)


@click.command(cls=_Mount, context_settings=_PASSED_ON, epilog=_EXAMPLES["bootstrap"])
@debug_option
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def bootstrap(words: tuple[str, ...]) -> int:
    """Turn a bare machine into a GPU cluster."""
    return _mounted("bootstrap", words)
