"""The contract between gpujobs and a backend: what a plugin author reads.

A backend is a class, registered as an entry point::

    [project.entry-points."gpujobs.backends"]
    mine = "my_package:MyBackend"

It has a ``name``, a pydantic model ``options`` for its keys of a target, and the six calls of :class:`Backend`. What it
can do beyond them it says by having the method: the ``Supports...`` protocols (``gpujobs.supports``) are checked with
``isinstance``, so nothing is ever stubbed. ``gpujobs.testing.BackendContract`` is the test class that every backend
passes.

The core does the rest once for all: defaults, keys and their journal, retries, waiting, log ends, explanations.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from gpujobs._retry import retrying
from gpujobs.errors import GpuJobsError
from gpujobs.refs import Ref
from gpujobs.supports import (
    SupportsCapacity,
    SupportsCheck,
    SupportsDelete,
    SupportsEvents,
    SupportsExec,
    SupportsExplain,
    SupportsForward,
    SupportsHeadStart,
    SupportsImport,
    SupportsLogBytes,
    SupportsLogin,
    SupportsPreflight,
    SupportsRbac,
    SupportsReplicas,
    SupportsScale,
    SupportsWatch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pydantic import BaseModel

    from gpujobs.results import LogLine
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs.states import State, Status

__all__ = [
    "Backend",
    "Clock",
    "JobQuery",
    "LogQuery",
    "Runtime",
    "Submission",
    "Submitted",
    "SupportsCapacity",
    "SupportsCheck",
    "SupportsDelete",
    "SupportsEvents",
    "SupportsExec",
    "SupportsExplain",
    "SupportsForward",
    "SupportsHeadStart",
    "SupportsImport",
    "SupportsLogBytes",
    "SupportsLogin",
    "SupportsPreflight",
    "SupportsRbac",
    "SupportsReplicas",
    "SupportsScale",
    "SupportsWatch",
    "SystemClock",
    "Target",
    "retrying",
    "split_exit",
]


class Clock(Protocol):
    """Time, injected so that tests own it."""

    def time(self) -> float:
        """Seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Let time pass."""
        ...


class SystemClock:
    """The real time."""

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        """Block this thread."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Target:
    """A named, configured backend.

    Attributes:
        options: The backend's own keys of ``[targets.NAME]``, validated: an instance of its ``options`` model.
        gpu_types: ``[targets.NAME.gpu_types]``: the name in a ``Gpu`` -> the cluster's own name.
        defaults: ``[targets.NAME.defaults]``; the core has merged them into every workload a backend sees.
    """

    name: str
    backend: str
    options: Any = None
    gpu_types: Mapping[str, str] = field(default_factory=dict[str, str])
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a backend is given besides its target.

    Attributes:
        state_dir: This user's state directory (``GPUJOBS_STATE_DIR``); a backend keeps its own in ``state_dir/NAME``.
        clock: Time and sleep.
    """

    state_dir: Path
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Submission:
    """One workload on its way: target defaults are merged in.

    Attributes:
        key: The idempotency key, unique per submission; any text without NUL, up to 256 characters.
        spec_hash: sha256 (hex) of what the workload means. The same key with another hash is a ConflictError.
        made: Whether gpujobs made the key for this call: nobody can have used it before. Keys that were made together
            read ``STEM.NUMBER``, with 20 hexadecimal digits as their stem.
    """

    spec: GpuJob | GpuService
    key: str
    spec_hash: str
    made: bool = False


Submitted = Ref | GpuJobsError
"""What became of one submission: its ref, or why there is none."""


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which workloads ``jobs`` is to give; only those that gpujobs submitted."""

    finished: bool = False
    """Also those that have ended."""
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    states: frozenset[State] = frozenset()
    """Only these; empty means any."""
    limit: int | None = None
    """The newest so many."""

    def matches(self, status: Status) -> bool:
        """Whether a workload is one of those; ``limit`` is left to who counts."""
        return (
            (self.finished or not status.final)
            and self.name in {None, status.name}
            and (not self.states or status.state in self.states)
            and self.labels.items() <= status.labels.items()
        )


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines ``logs`` is to give.

    Attributes:
        follow: Wait for more until the workload has ended and all is read. Without it, what is there, then the end.
        tail: Only the last so many lines (of each replica), then, with ``follow``, what comes.
        replica: Only this copy; None gives all, merged.
        attempt: Only this attempt; None gives all, oldest first.
        since: Only lines written at or after this time, where the system records times.
        ended: Tells a follower whether the workload has ended; cheap, asks the scheduler at most once per round of the
            one shared poller. After it says True the follower drains what is left and returns.
        stop: Tells a follower to return now.
    """

    follow: bool = False
    tail: int | None = None
    replica: int | None = None
    attempt: int | None = None
    since: datetime | None = None
    ended: Callable[[], bool] = _never
    stop: Callable[[], bool] = _never


class Backend(Protocol):
    """Six calls, bulk first. Instances are thread-safe and usable after a fork."""

    name: ClassVar[str]
    """The scheme of its refs and the ``backend`` of its targets."""
    options: ClassVar[type[BaseModel]]
    """The keys that a target may set, with ``extra="forbid"``; every field has a default or is required of the user."""

    def __init__(self, target: Target, runtime: Runtime, /) -> None:
        """Remember both; connect on first use, not here."""
        ...

    def render(self, item: Submission, /) -> str:
        """The exact text that ``submit`` would send; secrets as ``<secret NAME>``. Makes nothing.

        Raises:
            UnsupportedError: A field that this backend cannot honour; the message names the field.
        """
        ...

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """Send all of them, exactly once each; one entry per item, in order.

        A key that was taken before gives the ref of the first (the same hash), or a ConflictError (another). An outcome
        that is not known is an UnavailableError: the core, or the user, submits again with the same key, and that never
        makes a second. One refused item loses none of the others.
        """
        ...

    def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
        """The status of each, in order, in O(1) questions to the system.

        Unknown to the system and without a record: LOST, without ``submitted_at``, by which the core tells it from a
        workload that was lost. Never raises for a single ref.

        Raises:
            UnavailableError: The system cannot be asked; the core turns it into UNKNOWN.
        """
        ...

    def jobs(self, query: JobQuery, /) -> list[Status]:
        """The workloads of gpujobs on this target, newest first."""
        ...

    def logs(self, ref: Ref, query: LogQuery, /) -> Iterator[LogLine]:
        """The lines a workload wrote; no line twice, none lost without a gap.

        Raises:
            NotFoundError: There is no such workload. (Raised when called or when first iterated.)
        """
        ...

    def cancel(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """End them and keep their records; one entry per ref: None, or why not. Idempotent; a final one is no error."""
        ...

    def close(self) -> None:
        """Let go of connections; the next call may open them again."""
        ...


_FIRST_SIGNAL = 129
_LAST_SIGNAL = 192


def split_exit(code: int) -> tuple[int | None, int | None]:
    """(exit_code, signal) of a command's status as a shell shows it: 129..192 is a signal, on every backend."""
    return (None, code - 128) if _FIRST_SIGNAL <= code <= _LAST_SIGNAL else (code, None)
