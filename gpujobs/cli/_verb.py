"""What every verb has: its example, ``--debug``, and the words after ``--``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gpujobs.cli._context import App

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_REST = "gpujobs.words"

pass_app = click.make_pass_decorator(App)


def example(*lines: str) -> str:
    """The end of a verb's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def verb(*examples: str, name: str | None = None, cls: type[click.Command] = click.Command) -> Callable[[F], Any]:
    """Make a function a verb of the command line."""

    def decorate(function: F) -> click.Command:
        made = click.command(
            name=name or function.__name__, cls=cls, epilog=example(*examples), context_settings=SETTINGS
        )
        return made(debug_option(function))

    return decorate


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
