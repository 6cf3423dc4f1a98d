"""The seam between the backend and the place where Slurm's commands run."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Protocol

from gpujobs.errors import AuthError, BackendError, RejectedError, UnavailableError
from gpujobs_slurm.remote import processes
from gpujobs_slurm.remote.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager


class Transport(Protocol):
    """Runs the operations of ``remote/`` where Slurm is. Thread-safe, and usable after a fork."""

    remote: bool
    """Whether files are elsewhere than here."""

    def call(self, operation: str, /, *args: Any) -> Any:
        """One round trip.

        Raises:
            UnavailableError: There is no way to that place now; what was asked may or may not have been done.
            BackendError: Its file system refused.
        """
        ...

    def ahead(self, argv: list[str], /) -> AbstractContextManager[object]:
        """A context in which an operation is to start this command; where it can be, it is started already."""
        ...

    def shell(self, argv: Sequence[str], /) -> list[str]:
        """The words that run a command there on this process's own terminal."""
        ...

    def login(self) -> None:
        """Open the connection on this process's own terminal."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class CliTransport:
    """Slurm's commands and the job directories are on this machine."""

    remote = False

    def call(self, operation: str, /, *args: Any) -> Any:
        """Run it in this process."""
        try:
            return OPERATIONS[operation](*args)
        except OSError as e:
            raise file_error(e.errno, e.strerror, str(e.filename or "")) from e

    def ahead(self, argv: list[str], /) -> AbstractContextManager[object]:
        """Start it in this process."""
        return processes.ahead(argv)

    def shell(self, argv: Sequence[str], /) -> list[str]:
        """Nothing is in between."""
        return list(argv)

    def login(self) -> None:
        """There is nothing to open."""

    def close(self) -> None:
        """There is nothing to close."""


def file_error(code: int | None, text: str | None, path: str) -> BackendError:
    """What the file system of the job directories said, with the next step."""
    where = f"The job directory {path}" if path else "The job directory"
    if code in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return AuthError(f"{where} cannot be used: {text}.", next_step="Check its owner and mode, or set job_dir.")
    if code in {errno.ENOSPC, errno.EDQUOT}:
        return RejectedError(f"{where} cannot be written: {text}.", next_step="Make room there, or set job_dir.")
    if code in {errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.EMFILE}:
        return UnavailableError(f"{where} cannot be used at the moment: {text}.")
    return RejectedError(f"{where} cannot be used: {text}.", next_step="Set job_dir to a directory of yours.")
