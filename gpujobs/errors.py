"""Every error that gpujobs raises, as one tree.

::

    GpuJobsError
    ├── ConfigError            (+ ValueError)    the configuration is wrong
    ├── SpecError              (+ ValueError)    the workload cannot mean anything
    ├── PreflightError                           this target could never run it
    ├── ConflictError                            the key belongs to another workload
    ├── NotFoundError          (+ LookupError)   no such workload, target or backend
    ├── JobFailedError                           it ended, and not well
    ├── WaitTimeoutError       (+ TimeoutError)  we stopped waiting, it did not stop running
    ├── UnsupportedError                         this backend cannot do that
    ├── MissingExtraError      (+ ImportError)   an optional dependency is not installed
    ├── SubmitManyError                          some of many were refused; carries the rest
    └── BackendError                             the system underneath said no, or nothing
        ├── AuthError          (+ PermissionError)   who we are, or what we may do
        ├── UnavailableError   (+ ConnectionError)   could not be asked; worth another try
        └── RejectedError                            it was asked, and refused

A message says what was wrong and on what; ``next_step`` says what to do about it.
Vendor exceptions never escape: they are chained as ``__cause__``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.refs import Ref
    from gpujobs.states import Status

__all__ = [
    "AuthError",
    "BackendError",
    "ConfigError",
    "ConflictError",
    "GpuJobsError",
    "JobFailedError",
    "MissingExtraError",
    "NotFoundError",
    "PreflightError",
    "RejectedError",
    "SpecError",
    "SubmitManyError",
    "UnavailableError",
    "UnsupportedError",
    "WaitTimeoutError",
]


class GpuJobsError(Exception):
    """The root of every error raised by gpujobs.

    Args:
        message: What was wrong, and on what.
        next_step: What to do about it, as one sentence.
        key: The idempotency key of a submission whose outcome this error leaves open.
    """

    def __init__(self, message: str, *, next_step: str = "", key: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.key = key

    def __reduce__(self) -> tuple[Callable[..., GpuJobsError], tuple[object, ...]]:
        return _restore, (type(self), self.args, dict(self.__dict__))

    def __str__(self) -> str:
        parts = [self.message]
        if self.next_step:
            parts.append(self.next_step)
        return "\n".join(parts)


def _restore(cls: type[GpuJobsError], args: tuple[object, ...], fields: dict[str, object]) -> GpuJobsError:
    """An error as it was in another process, whatever its constructor takes."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(fields)
    return error


class ConfigError(GpuJobsError, ValueError):
    """The configuration cannot be read or means nothing."""


class SpecError(GpuJobsError, ValueError):
    """A workload cannot be built from what was given."""


class PreflightError(GpuJobsError):
    """The target could never run this workload; the message names what it could run."""


class ConflictError(GpuJobsError):
    """The idempotency key, or the name of the service, belongs to another workload."""


class NotFoundError(GpuJobsError, LookupError):
    """There is no such workload, target or backend."""


class JobFailedError(GpuJobsError):
    """A workload ended in a state other than SUCCEEDED."""

    def __init__(self, status: Status) -> None:
        reason = status.reason
        super().__init__(
            f"{status.ref} ended {status.state}" + (f": {reason.message}" if reason else ""),
            next_step=reason.next if reason else "",
        )
        self.status = status


class WaitTimeoutError(GpuJobsError, TimeoutError):
    """The time given to wait has passed; the workload goes on."""


class UnsupportedError(GpuJobsError):
    """This backend cannot do what was asked, and does not pretend to."""


class MissingExtraError(GpuJobsError, ImportError):
    """An optional dependency is not installed; ``next_step`` is the exact install line."""

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(
            f"This needs the Python package {module!r}, which is not installed.",
            next_step=f"Run: pip install 'gpujobs[{extra}]'",
        )
        self.extra = extra


class SubmitManyError(GpuJobsError):
    """Some workloads of a ``submit_many`` were not taken; nothing of the others is lost.

    Attributes:
        refs: One entry per workload, in order: its ref, or None where it was not taken.
        errors: One entry per workload, in order: why it was not taken, or None.
    """

    def __init__(self, refs: Sequence[Ref | None], errors: Sequence[GpuJobsError | None]) -> None:
        failed = [(i, e) for i, e in enumerate(errors) if e is not None]
        shown = "; ".join(f"[{i}] {e.message}" for i, e in failed[:5])
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""  # noqa: PLR2004
        super().__init__(
            f"{len(failed)} of {len(errors)} workloads were not taken: {shown}{more}",
            next_step="The others were submitted: see .refs; .errors has the reason for each.",
        )
        self.refs = tuple(refs)
        self.errors = tuple(errors)


class BackendError(GpuJobsError):
    """The system underneath failed, refused or could not be asked."""


class AuthError(BackendError, PermissionError):
    """The system does not know us, or does not let us do this."""


class UnavailableError(BackendError, ConnectionError):
    """The system could not be asked. The only error that is retried.

    Attributes:
        retry_after: Seconds the system itself asked us to wait, or None.
    """

    def __init__(
        self, message: str, *, next_step: str = "", key: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, next_step=next_step, key=key)
        self.retry_after = retry_after


class RejectedError(BackendError):
    """The system was asked, and refused."""
