"""Where things stand, on stderr: a spinner on a terminal, a line per change elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gpujobs.cli import _output as output
from gpujobs.cli._exits import describe_signal
from gpujobs.cli._text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.status import Status as Spinner
    from rich.text import Text

    from gpujobs.states import Status

_SHOWN = 3


class Progress:
    """Tells of changes. The spinner lives until ``pause``: it and a log do not share a line.

    Args:
        quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = output.is_terminal(sys.stderr)
        self._spinner: Spinner | None = None
        self._last = ""

    def update(self, statuses: Sequence[Status]) -> None:
        """Show where they stand now."""
        text = _summary(statuses)
        if self._quiet:
            return
        if not self._live:
            self._print(text)
        elif self._spinner is None:
            self._start(text)
        else:
            self._spinner.update(self._shown(text))

    def finish(self, statuses: Sequence[Status]) -> None:
        """Take the spinner away and leave a line about the end."""
        self.pause()
        if not self._quiet:
            self._print(_summary(statuses))

    def pause(self) -> None:
        """Take the spinner away."""
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None
        self._live = False

    def say(self, text: str) -> None:
        """One line, whatever happens."""
        if self._spinner is not None:
            self._spinner.stop()
        output.note(one_line(text))
        if self._spinner is not None:
            self._spinner.start()

    def _print(self, text: str) -> None:
        if text != self._last:
            output.note(text)
        self._last = text

    def _start(self, text: str) -> None:
        from rich.console import Console  # noqa: PLC0415  # only a terminal needs it

        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._spinner = console.status(self._shown(text), spinner="dots")
        self._spinner.start()

    def _shown(self, text: str) -> Text:
        """As rich takes it without reading markup into it."""
        from rich.text import Text  # noqa: PLC0415  # only a terminal needs it

        return Text(text)


def _summary(statuses: Sequence[Status]) -> str:
    if len(statuses) == 1:
        return one_line(describe(statuses[0]))
    left = [s for s in statuses if not s.final]
    head = f"{len(statuses) - len(left)} of {len(statuses)} ended"
    waiting = ", ".join(f"{s.ref} {s.state}" for s in left[:_SHOWN])
    more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    return one_line(f"{head}; {waiting}{more}" if waiting else head)


def describe(status: Status) -> str:
    """One workload in one line: its ref, its state, and why or how."""
    head = f"{status.ref} {status.state}"
    if status.nodes and not status.final:
        shown = ", ".join(status.nodes[:_SHOWN])
        head += f" on {shown}" + (f" and {len(status.nodes) - _SHOWN} more" if len(status.nodes) > _SHOWN else "")
    if status.attempt:
        head += f" (attempt {status.attempt})"
    if status.reason is not None:
        return f"{head}: {status.reason}"
    if status.signal is not None:
        return f"{head}: {describe_signal(status.signal)}"
    return head if status.exit_code in {None, 0} else f"{head}: exit code {status.exit_code}"
