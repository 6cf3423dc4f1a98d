"""Files on a machine, read and written through its shell."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpujobs.bootstrap.errors import BootstrapError, CommandFailedError
from gpujobs.bootstrap.shell import checked

if TYPE_CHECKING:
    from gpujobs.bootstrap.shell import Shell

_ABSENT, _DENIED, _ODD = 10, 11, 12

# $1 = path. Prints "MODE OWNER GROUP KIND" on one line, then the content of a plain file.
_READ = f"""
[ -e "$1" ] || {{ d=$(dirname -- "$1"); [ ! -d "$d" ] || [ -x "$d" ] || exit {_DENIED}; exit {_ABSENT}; }}
stat -L -c '%a %U %G %F' -- "$1" || exit {_DENIED}
[ ! -d "$1" ] || exit 0
[ -f "$1" ] || exit {_ODD}
[ -r "$1" ] || exit {_DENIED}
exec cat -- "$1"
"""

# $1 = path, $2 = mode, $3 = owner:group, $4 = size; the content is on stdin, so that it is in no process list.
# Written beside the target and renamed over it: a reader, or a crash, sees the old file or the new one.
_WRITE = """
set -e
umask 077
p=$(readlink -f -- "$1")
t=$(mktemp -- "$p.XXXXXXXX")
trap 'rm -f -- "$t"' EXIT
cat > "$t"
# When the sender dies, its end of the pipe closes as if all had been said.
[ "$(stat -c %s -- "$t")" = "$4" ] || { echo "the content of $1 did not arrive whole" >&2; exit 1; }
chown -- "$3" "$t"
chmod -- "$2" "$t"
sync -- "$t"
mv -fT -- "$t" "$p"
trap - EXIT
"""


@dataclass(frozen=True)
class FileState:
    """What a path holds.

    Attributes:
        content: The bytes of a plain file; empty for a directory.
        mode: The permission bits.
        owner: ``user:group``.
        directory: Whether it is a directory.
    """

    content: bytes
    mode: int
    owner: str
    directory: bool = False

    @property
    def digest(self) -> str:
        """The sha256 of the content."""
        return digest(self.content)


def digest(content: bytes) -> str:
    """The sha256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read(shell: Shell, path: str) -> FileState | None:
    """What a path holds, or None where there is nothing.

    Raises:
        BootstrapError: It may not be read by this user, or is neither a file nor a directory.
    """
    completed = shell.run(("sh", "-c", _READ, "read", path))
    if completed.exit_code == _ABSENT:
        return None
    if completed.exit_code == _DENIED:
        raise BootstrapError(
            f"{path} on {shell.name} cannot be read by this user.",
            next_step="Run this as root: with sudo, or with --host root@HOST.",
        )
    if completed.exit_code == _ODD:
        raise BootstrapError(
            f"{path} on {shell.name} is neither a file nor a directory.", next_step="Move it away, and run this again."
        )
    if not completed.ok:
        raise CommandFailedError(shell.name, completed)
    head, _, content = completed.stdout.partition(b"\n")
    mode, owner, group, kind = head.decode().split(" ", 3)
    return FileState(content, int(mode, 8), f"{owner}:{group}", directory=kind == "directory")


def write(shell: Shell, path: str, content: bytes, *, mode: int, owner: str) -> None:
    """Write a file as a whole or not at all.

    Raises:
        CommandFailedError: The disk is full, the directory is missing, or the user may not.
    """
    checked(shell, ("sh", "-c", _WRITE, "write", path, f"{mode:o}", owner, str(len(content))), stdin=content)
