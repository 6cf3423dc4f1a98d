"""The login node over OpenSSH: one kept connection, in which a small agent does what ``cli`` does here."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpujobs.errors import AuthError, BackendError, UnavailableError
from gpujobs_slurm._agent import Agent
from gpujobs_slurm._bundle import LOADER
from gpujobs_slurm._transport import file_error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from gpujobs_slurm._options import SlurmOptions

_LONGEST_SOCKET = 60
"""A Unix socket's path has about 100 bytes; ssh adds some 60 of its own."""
_KEPT = "10m"


class SshTransport:
    """Thread-safe; after a fork the child opens a connection of its own."""

    remote = True

    def __init__(self, options: SlurmOptions, directory: Path) -> None:
        self._options = options
        self._host = options.host or ""
        self._directory = directory
        self._lock = threading.Lock()
        self._agent: Agent | None = None
        self._master: list[str] | None = None

    def call(self, operation: str, /, *args: Any) -> Any:
        """One round trip; a connection that is gone is opened anew by the next call.

        Raises:
            UnavailableError: The connection broke; what was asked may or may not have been done.
            AuthError: The login node does not let us in.
            BackendError: It has no usable Python.
        """
        answer = self._connected().request(operation, args)
        if "oserror" in answer:
            raise file_error(*answer["oserror"])
        if "error" in answer:
            raise BackendError(f"The agent on {self._host} failed: {answer['error']}.")
        return answer["result"]

    def ahead(self, argv: list[str], /) -> AbstractContextManager[object]:  # noqa: ARG002  # as the protocol has it
        """Nothing: a round trip of its own would cost more than it saves."""
        return nullcontext()

    def shell(self, argv: Sequence[str], /) -> list[str]:
        """``ssh -t`` over the kept connection; the words are quoted for the login shell there."""
        import shlex  # noqa: PLC0415  # interactive use only

        return ["ssh", "-t", *self._options.ssh_options, *self._shared(), "--", self._host, shlex.join(argv)]

    def login(self) -> None:
        """Open the connection with whatever the site asks for, and keep it for the others.

        Raises:
            AuthError: It was not opened.
        """
        keep = [o.replace(_KEPT, "8h") for o in self._shared()]
        code = subprocess.call(["ssh", *self._options.ssh_options, *keep, "--", self._host, "true"])
        if code != 0:
            raise AuthError(f"ssh {self._host} ended with {code}.", next_step=f"Try `ssh {self._host}` yourself.")

    def close(self) -> None:
        """End the agent; a kept master goes by itself."""
        with self._lock:
            agent, self._agent = self._agent, None
        if agent is not None:
            agent.close()

    def _connected(self) -> Agent:
        with self._lock:
            if self._agent is None or not self._agent.alive:
                if self._agent is not None:
                    self._agent.close()
                words = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15"]
                command = f'exec {self._options.python} -u -c "{LOADER}"'
                argv = ["ssh", "-T", *self._options.ssh_options, *words, *self._shared(), "--", self._host, command]
                self._agent = Agent(argv, self._host, self._options.python)
            return self._agent

    def _shared(self) -> list[str]:
        """Options that share one connection: none where the user's own configuration does that already."""
        if self._master is None:
            asked = subprocess.run(
                ["ssh", "-G", *self._options.ssh_options, "--", self._host],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                text=True,
            )
            if asked.returncode == 0 and _has_master(asked.stdout):
                self._master = []
            else:
                path = f"{socket_directory(self._directory)}/%C"
                self._master = [
                    "-o", "ControlMaster=auto", "-o", f"ControlPath={path}", "-o", f"ControlPersist={_KEPT}",
                ]  # fmt: skip
        return self._master


def _has_master(config: str) -> bool:
    """Whether ``ssh -G`` says that the user shares connections already."""
    values = dict(line.split(" ", 1) for line in config.splitlines() if " " in line)
    return values.get("controlpath", "none") != "none" and values.get("controlmaster", "false") not in {"false", "no"}


def short_enough(wish: Path) -> Path:
    """The directory itself, or where its path is too long for sockets, one in the temporary directory or in /tmp."""
    own = f"gpujobs-{os.getuid()}"
    places = (wish, Path(tempfile.gettempdir()) / own, Path("/tmp") / own)  # noqa: S108  # checked to be private
    return next((place for place in places if len(str(place)) <= _LONGEST_SOCKET - 20), places[-1])


def socket_directory(wish: Path) -> Path:
    """A private directory for sockets, short enough for them.

    Raises:
        UnavailableError: It is not private: somebody else made it, or may write there.
    """
    directory = short_enough(wish / "ssh")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise UnavailableError(f"{directory} is not a private directory of yours.", next_step="Remove it.")
    return directory
