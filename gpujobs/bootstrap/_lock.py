"""One bootstrap at a time on one machine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from gpujobs.bootstrap.errors import BootstrapError, BusyError

if TYPE_CHECKING:
    from collections.abc import Generator

    from gpujobs.bootstrap.shell import Shell

LOCK_FILE = "/run/gpujobs-bootstrap.lock"
_HELD_BY_OTHER = 75
_END_S = 10

# $1 = lock file. The lock lives as long as this command, and the command as long as its stdin: when this
# process dies, or the ssh connection does, the kernel lets the lock go.
_HOLD = f'exec flock -n -E {_HELD_BY_OTHER} -- "$1" sh -c "echo locked; exec cat"'


@contextlib.contextmanager
def locked(shell: Shell, *, path: str = LOCK_FILE) -> Generator[None, None, None]:
    """Hold the machine's bootstrap lock while the block runs.

    Raises:
        BusyError: Another bootstrap holds it.
        BootstrapError: The lock file cannot be made: no root, no ``flock``.
    """
    held = shell.hold(("sh", "-c", _HOLD, "lock", path))
    assert held.stdin is not None  # noqa: S101  # both are pipes, for the type checker
    assert held.stdout is not None  # noqa: S101
    try:
        said = held.stdout.readline().decode(errors="replace").strip()
        if said != "locked":
            held.stdin.close()
            if held.wait(_END_S) == _HELD_BY_OTHER:
                raise BusyError(
                    f"Another gpujobs bootstrap is at work on {shell.name}.",
                    next_step="Wait for its end, and run this again.",
                )
            raise BootstrapError(
                f"The lock {path} on {shell.name} cannot be taken: {said or 'no answer'}",
                next_step="Run this as root: with sudo, or with --host root@HOST.",
            )
        yield
    finally:
        held.stdin.close()
        held.stdout.close()
        held.wait(_END_S)
