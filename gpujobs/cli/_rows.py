"""Statuses as rows of a table."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from gpujobs.cli import _output as output
from gpujobs.cli import _table as table
from gpujobs.cli._text import one_line
from gpujobs.states import rfc3339
from gpujobs.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.states import Status

COLUMNS = ("REF", "NAME", "STATE", "READY", "EXIT", "ATTEMPT", "SUBMITTED", "TOOK", "NODES", "REASON")
_SHOWN_NODES = 3


def show_statuses(statuses: Sequence[Status], *, why: bool = False) -> None:
    """Print one row per workload; with ``why``, for a person, the whole reason of each below."""
    person = output.is_terminal(sys.stdout)
    table.show(COLUMNS, rows(statuses, person=person), one_line_each=True)
    for status in statuses if why and person else ():
        if status.reason is not None:
            output.line(one_line(f"{status.ref}: {status.reason}"))


def rows(statuses: Sequence[Status], *, person: bool) -> list[list[str]]:
    """One row per workload: for a person with times as they are said, for a program with times as they are written."""
    now = datetime.now(timezone.utc)
    return [_row(status, now, person=person) for status in statuses]


def _row(status: Status, now: datetime, *, person: bool) -> list[str]:
    reason = status.reason
    why = "" if reason is None else f"{reason.code}: {reason.message}"
    return [
        str(status.ref),
        status.name,
        status.state.value,
        _copies(status),
        _exit(status),
        "" if person and not status.attempt else str(status.attempt),
        _ago(status.submitted_at, now) if person else rfc3339(status.submitted_at) or "",
        _took(status, now),
        _nodes(status.nodes) if person else ",".join(status.nodes),
        why,
    ]


def _copies(status: Status) -> str:
    """``2/4``: ready copies of a service, ended copies of a job with several."""
    counts = status.replicas
    if status.kind == "service":
        return f"{counts.ready}/{counts.wanted}"
    return f"{counts.succeeded + counts.failed}/{counts.wanted}" if counts.wanted > 1 else ""


def _exit(status: Status) -> str:
    if status.signal is not None:
        return f"signal {status.signal}"
    return "" if status.exit_code is None else str(status.exit_code)


def _nodes(nodes: tuple[str, ...]) -> str:
    more = len(nodes) - _SHOWN_NODES
    return ",".join(nodes[:_SHOWN_NODES]) + (f",+{more}" if more > 0 else "")


def _took(status: Status, now: datetime) -> str:
    """How long it has run."""
    if status.started_at is None:
        return ""
    return _span((status.ended_at or now) - status.started_at)


def _ago(then: datetime | None, now: datetime) -> str:
    return "" if then is None else f"{_span(now - then)} ago"


def _span(span: timedelta) -> str:
    """In whole seconds; from an hour on in whole minutes, from a day on in whole hours."""
    seconds = max(0, int(span.total_seconds()))
    unit = 3600 if seconds >= 86400 else 60 if seconds >= 3600 else 1  # noqa: PLR2004  # a day, an hour
    return format_duration(timedelta(seconds=seconds - seconds % unit)) if seconds else "0s"
