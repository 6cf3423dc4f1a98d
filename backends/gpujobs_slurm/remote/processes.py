"""Run Slurm's commands with an environment of our own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

KEPT = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT")
PASSED = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "KRB5CCNAME")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
NOT_FOUND = 127
TIMED_OUT = 124
_PIPE = 65536
"""What a pipe holds."""
_JOB_ID = re.compile(r"^(\d+)(?:;\S+)?\s*$", re.MULTILINE)


def environment() -> dict[str, str]:
    """What Slurm's commands, and so the jobs, get to see: nothing of the caller's shell but who and where."""
    env = {k: os.environ[k] for k in (*KEPT, *PASSED) if os.environ.get(k)}
    found = os.path.dirname(_find("sbatch", os.environ.get("PATH", os.defpath)))
    env["PATH"] = SYSTEM_PATH if not found or found in SYSTEM_PATH.split(":") else found + ":" + SYSTEM_PATH
    return env


def _find(program: str, path: str) -> str:
    """Where on a PATH a program is. The ways of shutil.which and subprocess cost as much as to start it."""
    for directory in path.split(os.pathsep):
        found = directory + "/" + program
        if directory and os.access(found, os.X_OK) and not os.path.isdir(found):
            return found
    return ""


class Started:
    """A command that was started and waits for what it is to read."""

    def __init__(self, process: Any, failure: str) -> None:
        self._process = process
        self._failure = failure

    def finish(self, stdin: bytes, timeout: float) -> dict[str, Any]:
        """``{"rc", "out", "err"}``; 127 when there is none, 124 when it took too long and was ended."""
        if self._process is None:
            return {"rc": NOT_FOUND, "out": b"", "err": self._failure.encode()}
        process, self._process = self._process, None
        try:
            left = _feed(process, stdin)
            out, err = _talk(process, left, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            text = f"{process.args[0]} gave no answer within {timeout:g} s"
            return {"rc": TIMED_OUT, "out": b"", "err": text.encode()}
        return {"rc": process.returncode, "out": out, "err": err}

    def abort(self) -> None:
        """End it, if it was given nothing yet."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class _Ahead(threading.local):
    """What this thread has started before it is wanted."""

    command: tuple[list[str], Started] | None = None


_ahead = _Ahead()


@contextlib.contextmanager
def ahead(argv: list[str]) -> Generator[None]:
    """Start a command that reads a script already now; the first ``start`` of it in this thread gets it."""
    started = _launch(argv, None, None)
    _ahead.command = argv, started
    try:
        yield
    finally:
        _ahead.command = None
        started.abort()


def start(argv: list[str], cwd: str | None = None, env: dict[str, str] | None = None) -> Started:
    """Start a command. One that reads a script does nothing before ``finish`` gives it one."""
    command = _ahead.command
    if command is not None and command[0] == argv and not cwd and not env:
        _ahead.command = None
        return command[1]
    return _launch(argv, cwd, env)


def _launch(argv: list[str], cwd: str | None, env: dict[str, str] | None) -> Started:
    variables = dict(environment(), **(env or {}))
    try:
        process = subprocess.Popen(
            argv,
            executable=_find(argv[0], variables["PATH"]) or None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd if cwd and os.path.isdir(cwd) else None,
            env=variables,
            start_new_session=True,  # a Ctrl-C at the terminal must not end a submission half-way
        )
    except OSError as e:
        return Started(None, f"{argv[0]}: {e.strerror}")
    return Started(process, "")


def run(
    argv: list[str],
    stdin: bytes = b"",
    timeout: float = 60.0,
    cwd: str | None = None,
    env: dict[str, str] | None = None,
) -> dict[str, Any]:
    """``{"rc", "out", "err"}`` of a command; 127 when there is none, 124 when it took too long and was ended."""
    return start(argv, cwd, env).finish(stdin, timeout)


def _feed(process: Any, data: bytes) -> bytes:
    """Write all at once, where the pipe can hold it: a client that is killed must not send half a script."""
    fd = process.stdin.fileno()
    with contextlib.suppress(OSError):
        if len(data) > _PIPE and hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, len(data))
    os.set_blocking(fd, False)
    try:
        return data[os.write(fd, data) :] if data else b""
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return b""
    finally:
        os.set_blocking(fd, True)


def _talk(process: Any, data: bytes, timeout: float) -> tuple[bytes, bytes]:
    """What it says, until it has ended. ``communicate`` would look for the end in naps of up to 50 ms."""
    if data or not hasattr(os, "pidfd_open"):
        return tuple(process.communicate(data, timeout=timeout))
    deadline = time.monotonic() + timeout
    stdin, process.stdin = process.stdin, None  # so that ``communicate`` after a time-out leaves it alone
    with contextlib.suppress(BrokenPipeError):
        stdin.close()
    found: dict[int, list[bytes]] = {process.stdout.fileno(): [], process.stderr.fileno(): []}
    ended = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        for fd in (*found, ended):
            poll.register(fd, select.POLLIN)
        open_ = set(found) | {ended}
        while open_:
            ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise subprocess.TimeoutExpired(process.args, timeout)
            for fd, _ in ready:
                piece = os.read(fd, _PIPE) if fd in found else b""
                if piece:
                    found[fd].append(piece)
                else:
                    poll.unregister(fd)
                    open_.discard(fd)
    finally:
        os.close(ended)
    process.wait()
    out, err = (b"".join(pieces) for pieces in found.values())
    process.stdout.close()
    process.stderr.close()
    return out, err


def job_id(out: bytes) -> str | None:
    """The id in what ``sbatch --parsable`` printed, also below a site's banner."""
    found = _JOB_ID.findall(out.decode("utf-8", "replace"))
    return str(found[-1]) if found else None
