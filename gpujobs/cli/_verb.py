"""What every verb has: its example, ``--debug``, and the words after ``--``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

import click

from gpujobs.cli._context import App

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_REST = "gpujobs.words"

pass_app = click.make_pass_decorator(App)


def example(*lines: str) -> str:
    """The end of a verb's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def verb(
    *examples: str, name: str | None = None, cls: type[click.Command] = click.Command
) -> Callable[[Callable[..., Any]], Any]:
    """Make a function a verb of the command line."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        made = click.command(
            name=name or function.__name__, cls=cls, epilog=example(*examples), context_settings=SETTINGS
        )
        return made(debug_option(function))

    return decorate


class Sectioned(click.Command):
    """A verb whose many options stand in sections in its help: ``sections`` is title -> names of options."""

    sections: ClassVar[dict[str, str]] = {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by section; what is in none comes last."""
        left = {str(p.name): p for p in self.get_params(ctx) if isinstance(p, click.Option)}
        for title, names in self.sections.items():
            members = [left.pop(name) for name in names.split() if name in left]
            _write_section(ctx, formatter, title, members)
        _write_section(ctx, formatter, "Options", list(left.values()))


def _write_section(
    ctx: click.Context, formatter: click.HelpFormatter, title: str, params: Sequence[click.Option]
) -> None:
    records = [record for param in params if (record := param.get_help_record(ctx)) is not None]
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


class WordsAfter(click.Command):
    """A verb that takes, after ``--``, the words of a command; they are in ``words_after(ctx)``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words after the first ``--`` away from the options."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[_REST] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Usage with the words."""
        return [*super().collect_usage_pieces(ctx), "[-- CMD...]"]


def words_after(ctx: click.Context) -> tuple[str, ...] | None:
    """The words after ``--``; None where there was no ``--``."""
    words: tuple[str, ...] | None = ctx.meta.get(_REST)
    return words


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click's signature
    if value:
        ctx.ensure_object(App).debug = True
        logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s: %(message)s", force=True)


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_set_debug,
    help="Show tracebacks and log records.",
)
