"""How a bootstrap speaks to a person, to a program, and about errors."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from gpujobs.bootstrap.errors import CommandFailedError, StepFailedError
from gpujobs.cli._errors import Misuse

if TYPE_CHECKING:
    from pydantic import ValidationError

    from gpujobs.bootstrap.plan import Event, Look, Plan
    from gpujobs.bootstrap.verify import Check
    from gpujobs.errors import GpuJobsError

_STYLES = {"done": "green", "undone": "green", "failed": "red", "kept": "yellow", "unchanged": "dim", "doing": "dim"}


def out() -> Console:
    """Standard output; nothing of it is guessed to be markup, a link or a number, and no line is broken."""
    return Console(soft_wrap=True, markup=False, highlight=False)


def err() -> Console:
    """Standard error, for progress and troubles."""
    return Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def show_output(error: GpuJobsError) -> None:
    """What the command that failed had printed, ahead of the error itself."""
    if isinstance(error, (CommandFailedError, StepFailedError)):
        for line in error.output.splitlines():
            err().print(f"  | {line}", style="dim")


def misuse(error: ValidationError, ctx: click.Context) -> Misuse:
    """What is wrong with the values that were given, each by the option it came from."""
    options = {param.name: param.opts[0] for param in ctx.command.params}
    wrong: list[str] = []
    for problem in error.errors(include_url=False):
        source = options.get(str(next(iter(problem["loc"]), "")), "the options")
        # A sentence of our own names the value already.
        given = "" if problem["type"] == "value_error" else f" (given: {problem['input']!r})"
        wrong.append(f"{source}: {problem['msg'].removeprefix('Value error, ')}{given}")
    return Misuse(f"{'; '.join(wrong)}.", f"See `{ctx.command_path} --help`.")


class Progress:
    """One line per step on standard error."""

    def __init__(self, *, several: bool) -> None:
        self._console = err()
        self._several = several

    def __call__(self, event: Event) -> None:
        if event.phase == "doing" and not self._console.is_terminal:
            return
        host = f"{event.host}: " if self._several else ""
        line = Text(f"[{event.number}/{event.total}] ")
        line.append(f"{event.phase:<9} ", style=_STYLES[event.phase])
        line.append(f"{host}{event.title}")
        if event.detail and event.phase in {"kept", "failed"}:
            line.append(f": {event.detail}", style="dim")
        end = "\r" if event.phase == "doing" else "\n"
        self._console.print(line, end=end)


def print_plan(plan: Plan, looks: list[Look], console: Console | None = None) -> None:
    """What is there and what is missing, with the exact commands for that; by default on standard output."""
    console = console or out()
    for number, look in enumerate(looks, 1):
        mark, style = ("done", "green") if look.finding.done else ("to do", "yellow")
        line = Text(f"[{number}/{len(looks)}] ").append(f"{mark:<6}", style=style)
        line.append(f"{look.step.host}: {look.step.title}")
        if not look.finding.done and look.finding.why:
            line.append(f"  ({look.finding.why})", style="dim")
        console.print(line)
        if not look.finding.done:
            for command in look.step.commands():
                console.print("\n".join(f"        {row}" for row in command.splitlines()), style="cyan")
    for warning in plan.warnings:
        console.print(f"note: {warning}", style="yellow")
    missing = sum(not look.finding.done for look in looks)
    console.print(f"{missing} of {len(looks)} steps are to be done." if missing else "Nothing is to be done.")


def print_check(check: Check) -> None:
    """One proof, and the logs where it failed."""
    line = Text("ok    " if check.ok else "FAIL  ", style="green" if check.ok else "red").append(check.title)
    if check.detail:
        line.append(f"  ({check.detail})", style="dim")
    out().print(line)
    if check.evidence:
        out().print(check.evidence, style="dim")


def confirm(question: str, *, yes: bool) -> None:
    """Go on only with a yes: given beforehand, or now at a terminal.

    Raises:
        Misuse: Nobody is there to ask.
        click.exceptions.Exit: It was no.
        KeyboardInterrupt: It was Ctrl-C.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Misuse(f"{question} There is no terminal to ask.", "Give --yes to go on without a question.")
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort as e:
        raise KeyboardInterrupt from e
    if not agreed:
        err().print("Nothing was changed.")
        raise click.exceptions.Exit(1)
