"""How commands reach a machine: here, here through sudo, or over ssh."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gpujobs.bootstrap.errors import CommandFailedError
from gpujobs.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

Argv = tuple[str, ...]
"""One command, word by word; nothing in it has a meaning to a shell."""

_SSH_FAILED = 255
_KILLED_BY_TIMEOUT = 124
_NOT_FOUND = 127
# Parsers below read English; a daemon's own message must not depend on who runs this.
_ENV: Argv = ("env", "LC_ALL=C.UTF-8")


@dataclass(frozen=True)
class Completed:
    """A command that has ended. What it was sent on stdin is never kept: it may be a key."""

    argv: Argv
    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether it exited 0."""
        return self.exit_code == 0

    @property
    def text(self) -> str:
        """Its standard output as text."""
        return self.stdout.decode(errors="replace")

    @property
    def error_text(self) -> str:
        """Its standard error as text."""
        return self.stderr.decode(errors="replace")

    @property
    def last_line(self) -> str:
        """The last line it wrote, errors first: mostly the cause."""
        lines = [line.strip() for text in (self.text, self.error_text) for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""


class Held(Protocol):
    """A command that runs on until its standard input is closed."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        ...


class Shell(Protocol):
    """Runs argv tuples on one machine."""

    @property
    def name(self) -> str:
        """The machine, as a person calls it."""
        ...

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout_s: float = 120) -> Completed:
        """Run a command to its end; a bad exit code is an answer, not an error.

        Raises:
            UnavailableError: The machine cannot be reached.
        """
        ...

    def hold(self, argv: Argv) -> Held:
        """Start a command that lives as long as its standard input, and so as long as this process."""
        ...


def checked(shell: Shell, argv: Argv, *, stdin: bytes = b"", timeout_s: float = 120) -> Completed:
    """Run a command that has to succeed.

    Raises:
        CommandFailedError: It exited with something other than 0.
    """
    completed = shell.run(argv, stdin=stdin, timeout_s=timeout_s)
    if not completed.ok:
        raise CommandFailedError(shell.name, completed)
    return completed


class LocalShell:
    """This machine, as the user who runs this, or through a prefix such as sudo.

    Args:
        name: What to call this machine.
        prefix: Words put before every command: ``("sudo", "-n", "--")``, ``("chroot", ROOT)``.
    """

    def __init__(self, name: str = "localhost", *, prefix: Sequence[str] = ()) -> None:
        self.name = name
        self.prefix = tuple(prefix)

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout_s: float = 120) -> Completed:
        """Run a command on this machine."""
        return _run(argv, (*self.prefix, *_ENV, *argv), stdin, timeout_s)

    def hold(self, argv: Argv) -> Held:
        """Start a command that lives as long as its standard input."""
        return _hold((*self.prefix, *_ENV, *argv))


def sudo_shell(name: str = "localhost") -> LocalShell:
    """This machine as root, by sudo without a password prompt."""
    return LocalShell(name, prefix=("sudo", "-n", "--"))


class SshShell:
    """Another machine over the ssh program, with one connection shared by all commands.

    Args:
        host: ``user@host`` or a name of ``~/.ssh/config``.
        options: More ssh words, such as ``("-p", "2222")`` or ``("-F", FILE)``.
        sudo: Whether to become root there by ``sudo -n``.
    """

    def __init__(self, host: str, *, options: Sequence[str] = (), sudo: bool = False) -> None:
        self.name = host
        self._prefix: Argv = ("sudo", "-n", "--") if sudo else ()
        # A control path is a socket name, and those end at 108 bytes: keep the directory short.
        self._directory = tempfile.TemporaryDirectory(prefix="gpujobs-", dir="/tmp", ignore_cleanup_errors=True)
        self._socket = str(Path(self._directory.name) / "s")
        # -- : a host that begins with a dash is not an option.
        self._options: Argv = (
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=15",
            "-o",
            "ServerAliveInterval=15",
            *options,
        )

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout_s: float = 120) -> Completed:
        """Run a command on the other machine.

        Raises:
            UnavailableError: ssh cannot reach it, or lost it.
        """
        self._connect()
        completed = _run(argv, self._words(argv), stdin, timeout_s)
        if completed.exit_code == _SSH_FAILED:
            raise self._unreachable(completed.last_line)
        return completed

    def hold(self, argv: Argv) -> Held:
        """Start a command there that ends when this process, or the connection, does."""
        self._connect()
        return _hold(self._words(argv))

    def close(self) -> None:
        """End the shared connection."""
        if Path(self._socket).exists():
            words = ("ssh", "-o", f"ControlPath={self._socket}", "-O", "exit", "--", self.name)
            subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self._directory.cleanup()

    def _words(self, argv: Argv) -> Argv:
        shared = ("-o", "ControlMaster=no", "-o", f"ControlPath={self._socket}")
        return ("ssh", *self._options, *shared, "--", self.name, shlex.join((*self._prefix, *_ENV, *argv)))

    def _connect(self) -> None:
        if Path(self._socket).exists():
            return
        # The master gets no pipe of ours: it would hold it open, and reading to the end would hang.
        with tempfile.TemporaryFile() as output:
            master = ("-o", "ControlMaster=yes", "-o", f"ControlPath={self._socket}", "-o", "ControlPersist=300", "-fN")
            words = ("ssh", *self._options, *master, "--", self.name)
            ended = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()
        if ended.returncode != 0:
            raise self._unreachable(lines[-1] if lines else "")

    def _unreachable(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"{self.name} cannot be reached over ssh" + (f": {why}" if why else "."),
            next_step=f"Make `ssh {shlex.quote(self.name)} true` work without a question, and run this again.",
        )


def _run(argv: Argv, words: Argv, stdin: bytes, timeout_s: float) -> Completed:
    try:
        ended = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as e:
        return Completed(
            argv, _KILLED_BY_TIMEOUT, e.stdout or b"", (e.stderr or b"") + f"\nno end after {timeout_s:g} s".encode()
        )
    except FileNotFoundError:
        return Completed(argv, _NOT_FOUND, b"", f"{words[0]}: not found".encode())
    return Completed(argv, ended.returncode, ended.stdout, ended.stderr)


def _hold(words: Argv) -> Held:
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
