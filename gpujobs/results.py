"""What comes back besides statuses: log lines, copies, events, capacities, explanations, checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gpujobs._quick import quick_init

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gpujobs.reasons import Cause
    from gpujobs.refs import Ref
    from gpujobs.states import State, Status

__all__ = ["Capacity", "Check", "Event", "ExecResult", "Explanation", "GpuCapacity", "LogLine", "ReplicaStatus"]


@quick_init
@dataclass(frozen=True, slots=True)
class LogLine:
    r"""One line that a workload wrote, or a marked gap where the system dropped some.

    Attributes:
        text: The line without its end, decoded as UTF-8 with replacement.
        raw: The bytes as written, with the ``\n`` or ``\r`` that ended the line (a ``\r`` flushes a line).
        replica: Which copy wrote it: array index x node.
        attempt: Which restart of that copy.
        time: When it was written (UTC), where the system records it.
        stream: ``stdout`` or ``stderr``, where the system records it.
        gap: True when this is no line but the note that lines are missing here; ``text`` says how and why.
    """

    text: str
    raw: bytes = b""
    replica: int = 0
    attempt: int = 0
    time: datetime | None = None
    stream: Literal["stdout", "stderr"] | None = None
    gap: bool = False

    @classmethod
    def of(
        cls,
        raw: bytes,
        *,
        replica: int = 0,
        attempt: int = 0,
        time: datetime | None = None,
        stream: Literal["stdout", "stderr"] | None = None,
    ) -> LogLine:
        r"""A line from its bytes; ``\r\n``, ``\n`` and ``\r`` all end one."""
        end = 2 if raw.endswith(b"\r\n") else 1 if raw.endswith((b"\n", b"\r")) else 0
        text = raw[: len(raw) - end].decode(errors="replace")
        return cls(text, raw, replica, attempt, time, stream)


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One copy of a workload: where it is, how it stands, how it ended."""

    replica: int
    state: State
    node: str = ""
    attempt: int = 0
    exit_code: int | None = None
    signal: int | None = None
    ready: bool = False
    reason: Cause | None = None
    name: str = ""
    """The vendor's own name of this copy (a pod, ``1234_7``)."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something the system noted about a workload."""

    time: datetime | None
    reason: str
    message: str
    count: int = 1
    warning: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command run inside a workload gave."""

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass(frozen=True, slots=True)
class GpuCapacity:
    """GPUs of one kind on one node. ``total`` counts what is handed out: time-sliced copies, MIG instances, shards."""

    node: str
    type: str
    total: int
    free: int
    memory: int | None = None
    """Bytes of one GPU, or None where the system does not say (unified memory)."""
    sharing: str = "exclusive"
    copies: int = 1
    """How many holders one physical GPU is offered to."""
    available: bool = True
    """False where the node takes no new work; ``note`` says why."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a target has and what of it is free, node by node."""

    gpus: tuple[GpuCapacity, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """All GPUs that are handed out."""
        return sum(g.total for g in self.gpus)

    @property
    def free(self) -> int:
        """GPUs that could be had now."""
        return sum(g.free for g in self.gpus if g.available)


_PLAIN = {
    "PENDING": "It waits to be started.",
    "RUNNING": "It is running.",
    "SUSPENDED": "It is suspended.",
    "SUCCEEDED": "It ended well.",
    "FAILED": "It failed.",
    "CANCELLED": "It was cancelled.",
    "UNKNOWN": "Its state cannot be asked for at the moment.",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a workload waits or failed: ``str()`` is the sentence."""

    ref: Ref
    state: State
    summary: str
    next: str = ""
    details: tuple[str, ...] = ()
    """Numbers and evidence, one sentence each: GPUs free by node, jobs ahead, the last log lines."""

    @classmethod
    def of(cls, status: Status, details: Sequence[str] = ()) -> Explanation:
        """What the status alone tells, with a backend's own details."""
        cause = status.reason
        summary = cause.message if cause else _PLAIN.get(status.state.value, f"It is {status.state}.")
        return cls(status.ref, status.state, summary, cause.next if cause else "", tuple(details))

    def __str__(self) -> str:
        return f"{self.summary} {self.next}".strip()

    def to_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "ref": str(self.ref),
            "state": self.state.value,
            "summary": self.summary,
            "next": self.next,
            "details": list(self.details),
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of ``targets check`` or ``doctor``."""

    title: str
    ok: bool
    message: str = ""
    next: str = ""
