"""The client's end of an agent on a login node: many requests at once over one pipe."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import subprocess
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from gpujobs.errors import AuthError, BackendError, GpuJobsError, UnavailableError
from gpujobs_slurm._bundle import program
from gpujobs_slurm.remote.agent import GREETING, VERSION, decode, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

_GREETING_S = 60.0
_NO_PYTHON = ("command not found", "not found", "no such file", "no module named")


class _Waiting:
    """One request that is out."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: dict[str, Any] | None = None


class Agent:
    """A started ``ssh``; usable once it has greeted.

    Raises:
        GpuJobsError: It did not come up; the error says why.
    """

    def __init__(self, argv: Sequence[str], host: str, python: str) -> None:
        self._host = host
        self._python = python
        self._pid = os.getpid()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._greeted = threading.Event()
        self._dead = False
        self._complaints: deque[str] = deque(maxlen=20)
        self._nonce = secrets.token_hex(8)
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us, not for the connection
            )
        except OSError as e:
            raise BackendError(f"ssh cannot be started: {e.strerror}.", next_step="Install OpenSSH's client.") from e
        self._threads = [
            threading.Thread(target=self._read, name=f"gpujobs-{host}", daemon=True),
            threading.Thread(target=self._listen, name=f"gpujobs-{host}-stderr", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self._greet()

    @property
    def alive(self) -> bool:
        """Whether requests can be sent; never in a forked child."""
        return not self._dead and self._pid == os.getpid()

    def request(self, operation: str, args: Sequence[Any]) -> dict[str, Any]:
        """Send one and wait for its answer.

        Raises:
            UnavailableError: The connection broke meanwhile.
        """
        number, waiting = next(self._numbers), _Waiting()
        line = json.dumps({"id": number, "op": operation, "args": encode(list(args))}) + "\n"
        with self._lock:
            if self._dead:
                raise self._why()
            self._waiting[number] = waiting
        self._write(line.encode())
        waiting.done.wait()
        if waiting.answer is None:
            raise self._why()
        return waiting.answer

    def close(self) -> None:
        """End it; the agent ends when its stdin does."""
        if self._pid == os.getpid():
            self._dead = True
            self._end()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _end(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # A kept master inherits stderr and never ends it, so that thread is not waited for.
        self._threads[0].join(2)

    def _greet(self) -> None:
        text = program(self._nonce)
        self._write(f"{len(text)}\n".encode() + text)
        if not self._greeted.wait(_GREETING_S) or self._dead:
            if not self._dead:
                self._complaints.append(f"no answer within {_GREETING_S:g} s")
            error = self._why()
            self.close()
            raise error

    def _write(self, data: bytes) -> None:
        stdin = self._process.stdin
        with self._lock:
            try:
                if stdin is not None:
                    stdin.write(data)
                    stdin.flush()
            except (OSError, ValueError):
                return  # the reader sees the end of the connection, and tells everybody who waits

    def _read(self) -> None:
        """Hand out answers until the connection ends; a banner before the greeting is passed over."""
        greeting = f"{GREETING} {VERSION} {self._nonce}".encode()
        stdout = self._process.stdout
        with contextlib.suppress(OSError, ValueError):
            for line in stdout or ():
                if not self._greeted.is_set():
                    if line.rstrip() == greeting:
                        self._greeted.set()
                    continue
                answer: dict[str, Any] = decode(json.loads(line))
                with self._lock:
                    waiting = self._waiting.pop(answer["id"], None)
                if waiting is not None:
                    waiting.answer = answer
                    waiting.done.set()
        self._process.wait()
        with self._lock:
            self._dead = True
            left, self._waiting = list(self._waiting.values()), {}
        for waiting in left:
            waiting.done.set()
        self._greeted.set()

    def _listen(self) -> None:
        stderr = self._process.stderr
        with contextlib.suppress(OSError, ValueError):
            for line in stderr or ():
                self._complaints.append(line.decode(errors="replace").strip())

    def _why(self) -> GpuJobsError:
        """What broke, from what ssh complained of."""
        self._threads[1].join(0.2)
        text = "; ".join(c for c in self._complaints if c)[-500:] or "the connection was closed"
        lower = text.lower()
        try_it = f"Try `ssh {self._host}` yourself."
        if "host key verification failed" in lower or "remote host identification has changed" in lower:
            return AuthError(f"The host key of {self._host} is not known: {text}.", next_step=try_it)
        if "permission denied" in lower or "too many authentication failures" in lower:
            step = f"`gpujobs targets login` opens the connection by hand. {try_it}"
            return AuthError(f"{self._host} does not let us in: {text}.", next_step=step)
        if self._process.poll() == 127 or (self._python in lower and any(w in lower for w in _NO_PYTHON)):  # noqa: PLR2004
            return BackendError(
                f"{self._host} has no {self._python}: {text}.",
                next_step="Set python = '/path/to/python3' (3.6 or newer) in the target.",
            )
        return UnavailableError(f"The connection to {self._host} is not there: {text}.", next_step=try_it)
