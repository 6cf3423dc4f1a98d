"""How a bootstrap speaks to a person, to a program, and about errors."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from gpujobs.bootstrap.errors import CommandFailedError, StepFailedError
from gpujobs.errors import GpuJobsError

if TYPE_CHECKING:
    from collections.abc import Generator

    from gpujobs.bootstrap.plan import Event, Look, Plan
    from gpujobs.bootstrap.verify import Check

_STYLES = {"done": "green", "undone": "green", "failed": "red", "kept": "yellow", "unchanged": "dim", "doing": "dim"}
_USAGE = 2


def out() -> Console:
    """Standard output; nothing of it is guessed to be markup, a link or a number, and no line is broken."""
    return Console(soft_wrap=True, markup=False, highlight=False)


def err() -> Console:
    """Standard error, for progress and troubles."""
    return Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


@contextlib.contextmanager
def reported(*, debug: bool = False) -> Generator[None, None, None]:
    """Turn an error into two lines and an exit code: what is wrong, what to do next; its traceback if asked for."""
    try:
        yield
    except ValidationError as e:
        for problem in e.errors():
            field = ".".join(str(part) for part in problem["loc"]).replace("_", "-")
            err().print(f"error: --{field}: {problem['msg'].removeprefix('Value error, ')}")
        err().print("Run the command with --help to see what it takes.")
        raise click.exceptions.Exit(_USAGE) from e
    except GpuJobsError as e:
        if debug:
            err().print(traceback.format_exc(), style="dim")
        if isinstance(e, (CommandFailedError, StepFailedError)):
            for line in e.output.splitlines():
                err().print(f"  | {line}", style="dim")
        err().print(f"error: {e.message}", style="red")
        err().print(e.next_step or "Run it again with what the message asks for.")
        raise click.exceptions.Exit(1) from e


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
        click.exceptions.Exit: It was no, or nobody is there to ask.
        KeyboardInterrupt: It was Ctrl-C.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        err().print(f"error: {question} There is no terminal to ask.")
        err().print("Give --yes to go on without a question.")
        raise click.exceptions.Exit(_USAGE)
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort as e:
        raise KeyboardInterrupt from e
    if not agreed:
        err().print("Nothing was changed.")
        raise click.exceptions.Exit(1)
