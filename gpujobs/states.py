"""Where a workload stands: states, statuses and the counts in them.

Plain slots dataclasses, not pydantic models: ten thousand of them must be cheap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from gpujobs._quick import quick_init, quick_many

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpujobs.reasons import Cause
    from gpujobs.refs import Ref

__all__ = ["Native", "Replicas", "State", "Status", "from_epoch", "make_statuses", "rfc3339"]


class State(str, Enum):
    """Where a workload stands. Only SUCCEEDED, FAILED, CANCELLED and LOST are final."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"
    """The system answered, and has no such workload and no outcome left."""
    UNKNOWN = "UNKNOWN"
    """The system could not be asked."""

    @property
    def final(self) -> bool:
        """Whether a workload in this state can never leave it."""
        return self in _FINAL

    def __str__(self) -> str:
        return self.value


_FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.LOST})


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many copies are wanted and how many stand where. A plain job wants one."""

    wanted: int = 1
    ready: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    outdated: int = 0
    """Copies of a former definition that a rolling update has not ended yet."""

    def to_dict(self) -> dict[str, int]:
        """The counts under their public names."""
        return {
            "wanted": self.wanted,
            "ready": self.ready,
            "running": self.running,
            "succeeded": self.succeeded,
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class Native:
    """The vendor's own words for state and reason."""

    state: str = ""
    reason: str = ""


_ONE = Replicas()
_NO_NATIVE = Native()


@quick_init
@dataclass(frozen=True, slots=True)
class Status:
    """One look at one workload.

    Attributes:
        reason: Why it waits or why it ended badly; None when there is nothing to say.
        exit_code: The command's own exit code; None while it runs and when a signal ended it.
        signal: The number of the signal that ended the command, or None.
        attempt: Which restart this is, from 0.
        nodes: Names of the nodes it runs or ran on.
        submitted_at: As ``started_at`` and ``ended_at``, an aware datetime in UTC, or None.
        native: The vendor's own words.
        expected_end: When it should end at the latest, where the system says so; waiting tightens near it.
    """

    ref: Ref
    state: State
    name: str = ""
    reason: Cause | None = None
    exit_code: int | None = None
    signal: int | None = None
    attempt: int = 0
    replicas: Replicas = _ONE
    nodes: tuple[str, ...] = ()
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    native: Native = _NO_NATIVE
    labels: dict[str, str] = field(default_factory=dict[str, str])
    expected_end: datetime | None = None

    @property
    def final(self) -> bool:
        """Whether this is the end: a final state never changes."""
        return self.state.final

    @property
    def succeeded(self) -> bool:
        """Whether the workload ended well."""
        return self.state is State.SUCCEEDED

    @property
    def kind(self) -> Literal["job", "service"]:
        """``job`` or ``service``."""
        return self.ref.kind

    def raise_for_state(self) -> Status:
        """Return this status, unless the workload ended badly.

        Raises:
            JobFailedError: The state is FAILED, CANCELLED or LOST.
        """
        from gpujobs.errors import JobFailedError  # noqa: PLC0415  # keeps the import graph of values flat

        if self.final and not self.succeeded:
            raise JobFailedError(self)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The public JSON form; times are RFC 3339 in UTC."""
        reason = self.reason
        return {
            "ref": str(self.ref),
            "name": self.name,
            "kind": self.kind,
            "target": self.ref.target,
            "backend": self.ref.backend,
            "state": self.state.value,
            "final": self.final,
            "reason": {"code": reason.code.value, "message": reason.message, "next": reason.next} if reason else None,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "attempt": self.attempt,
            "replicas": self.replicas.to_dict(),
            "nodes": list(self.nodes),
            "submitted_at": rfc3339(self.submitted_at),
            "started_at": rfc3339(self.started_at),
            "ended_at": rfc3339(self.ended_at),
            "native": {"state": self.native.state, "reason": self.native.reason},
        }


def make_statuses(rows: Iterable[tuple[Any, ...] | None]) -> list[Status | None]:
    """Many statuses of the values of all their fields, in order: half the time of making each; None for None."""
    return quick_many(Status, rows)


def rfc3339(time: datetime | None) -> str | None:
    """``2026-01-31T12:00:00Z``, with a fraction only where there is one."""
    if time is None:
        return None
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def from_epoch(seconds: float | None) -> datetime | None:
    """An aware UTC datetime from seconds since 1970, None from None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc)
