"""Errors as two lines on stderr, and the exit code each of them means."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import click

from gpujobs.cli._output import to_stderr
from gpujobs.cli._text import one_line
from gpujobs.errors import GpuJobsError, JobFailedError, UnavailableError, UnsupportedError, WaitTimeoutError

if TYPE_CHECKING:
    from gpujobs.cli._context import App

FAILED = 1
USAGE = 2
OWN_FAILURE = 125
"""gpujobs itself failed, where the exit code is otherwise that of a job."""


class Misuse(click.UsageError):
    """The command line means nothing; ``next_step`` says how to write it."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step


def report(app: App, error: Exception) -> int:
    """Print two lines about an error, after its traceback if that is asked for; the exit code."""
    what, step = _lines(app, error)
    story = "".join(traceback.format_exception(error)) if app.debug else ""
    to_stderr(f"{story}Error: {one_line(what)}\nNext: {one_line(step)}\n")
    return _code(app, error)


def _lines(app: App, error: Exception) -> tuple[str, str]:
    command = f"gpujobs {app.verb}" if app.verb else "gpujobs"
    see_help = f"See `{command} --help`."
    if isinstance(error, GpuJobsError):
        return error.message, error.next_step or _step_for(error, see_help)
    if isinstance(error, Misuse):
        return error.message, error.next_step or see_help
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return _sentence(error.format_message()), f"See `{error.ctx.command_path} --help`."
    if isinstance(error, click.ClickException):
        return _sentence(error.format_message()), see_help
    if isinstance(error, OSError) and error.strerror:
        on = f" ({error.filename})" if error.filename else ""
        return f"The system refused it: {error.strerror}{on}.", "Mend that and try again; --debug shows where it was."
    return (
        f"{type(error).__name__}: {error}",
        "This is a defect of gpujobs: run it with --debug and report what it says.",
    )


def _step_for(error: GpuJobsError, see_help: str) -> str:
    """What to do about an error that does not say so itself."""
    if isinstance(error, UnsupportedError):
        return "Choose a target whose backend can: `gpujobs targets` lists them."
    if isinstance(error, JobFailedError):
        return f"`gpujobs explain {error.status.ref}` says why."
    if isinstance(error, UnavailableError):
        return "Try again; --debug tells more."
    return f"{see_help} --debug tells more."


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _code(app: App, error: Exception) -> int:
    """As the table of exit codes in docs/cli.md has it."""
    if app.verb == "run" or isinstance(error, WaitTimeoutError):
        return OWN_FAILURE
    if isinstance(error, click.ClickException):
        return USAGE
    if isinstance(error, JobFailedError):
        return FAILED
    return OWN_FAILURE if app.verb == "wait" else FAILED
