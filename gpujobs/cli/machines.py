"""``doctor`` and ``bootstrap``: the command line of ``gpujobs.bootstrap``, imported when it is used."""

from __future__ import annotations

import importlib
from typing import Any, cast

import click

from gpujobs.cli._verb import SETTINGS, example
from gpujobs.errors import UnsupportedError

_MODULE = "gpujobs.bootstrap._cli"
_OFFERED = {"doctor": "doctor", "bootstrap": "app"}
_ANY_WORDS: dict[str, Any] = {**SETTINGS, "ignore_unknown_options": True}


def __getattr__(verb: str) -> click.Command:
    """The command of a verb, or one that says that this build has none."""
    if verb not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {verb!r}")
    found = getattr(importlib.import_module(_MODULE), _OFFERED[verb], None)
    return cast("click.Command", found) if found is not None else _missing(verb)


def _missing(verb: str) -> click.Command:
    @click.command(name=verb, context_settings=_ANY_WORDS, epilog=example(f"gpujobs {verb} --help"))
    @click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
    def refuse(words: tuple[str, ...]) -> None:
        """Not in this build of gpujobs."""
        del words
        raise UnsupportedError(
            f"`gpujobs {verb}` is not in this build of gpujobs.",
            next_step="Install a release that has gpujobs.bootstrap.",
        )

    return refuse
