"""Commands inside a running container, over the channels of ``v4/v5.channel.k8s.io``."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import sys
import threading
from typing import TYPE_CHECKING, Any

from gpujobs.errors import RejectedError, UnavailableError
from gpujobs.results import ExecResult
from gpujobs_kubernetes._api import PODS, path
from gpujobs_kubernetes._pod import CONTAINER
from gpujobs_kubernetes._sockets import BINARY, CLOSE, EXEC, open_socket, translating
from gpujobs_kubernetes._tables import inside, rows

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from gpujobs_kubernetes._api import Api, Table

_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_CHUNK = 1 << 16
_V5 = "v5.channel.k8s.io"
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def run(api: Api, namespace: str, pod: str, argv: Sequence[str], *, stdin: bytes | None) -> ExecResult:
    """Run a command in a pod and give what it wrote.

    Raises:
        RejectedError: The container does not run.
    """
    socket = _open(api, namespace, pod, argv, stdin=stdin is not None, tty=False)
    out: dict[int, list[bytes]] = {_STDOUT: [], _STDERR: [], _ERROR: []}
    try:
        # Written beside reading: a command that answers before it has read all would else block both.
        writer = threading.Thread(target=_write, args=(socket, stdin or b""), daemon=True)
        if stdin is not None:
            writer.start()
        with translating(f"{namespace}/{pod}"):
            while (frame := _receive(socket)) is not None:
                if frame[:1] and frame[0] in out:
                    out[frame[0]].append(frame[1:])
                if out[_ERROR]:
                    break
    finally:
        socket.close()
    return _result(out, pod)


def run_on_terminal(api: Api, namespace: str, pod: str, argv: Sequence[str]) -> int:
    """Run a command in a pod on this process's terminal; its exit code."""
    tty = sys.stdin.isatty() and sys.stdout.isatty()
    socket = _open(api, namespace, pod, argv, stdin=True, tty=tty)
    error: list[bytes] = []
    try:
        with _raw() if tty else contextlib.nullcontext(), translating(f"{namespace}/{pod}"):
            _shuttle(socket, error, tty=tty)
    finally:
        socket.close()
    return _exit_code(b"".join(error), pod)


def _shuttle(socket: Any, error: list[bytes], *, tty: bool) -> None:
    """Carry bytes between the terminal and the command until the command ends."""
    size, fed = None, True
    while not error:
        if tty and (now := shutil.get_terminal_size()) != size:
            size = now
            socket.send_binary(bytes([_RESIZE]) + json.dumps({"Width": now.columns, "Height": now.lines}).encode())
        ready, _, _ = select.select([socket.sock, *([sys.stdin] if fed else [])], [], [], 0.5)
        pending = getattr(socket.sock, "pending", lambda: 0)
        if sys.stdin in ready:
            data = os.read(sys.stdin.fileno(), _CHUNK)
            fed = bool(data)
            _send(socket, data)
        if socket.sock not in ready and not pending():
            continue
        frame = _receive(socket)
        if frame is None:
            return
        channel, data = frame[0], frame[1:]
        if channel == _ERROR:
            error.append(data)
        elif channel in {_STDOUT, _STDERR}:
            os.write(sys.stdout.fileno() if channel == _STDOUT else sys.stderr.fileno(), data)


def _open(api: Api, namespace: str, pod: str, argv: Sequence[str], *, stdin: bool, tty: bool) -> Any:
    flags = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    query = [("container", CONTAINER), *((k, str(v).lower()) for k, v in flags.items())]
    query += [("command", word) for word in argv]
    return open_socket(api, path(PODS, namespace, pod, "exec"), query, EXEC)


def _write(socket: Any, data: bytes) -> None:
    with contextlib.suppress(UnavailableError), translating("the command"):
        for i in range(0, len(data), _CHUNK):
            _send(socket, data[i : i + _CHUNK])
        _send(socket, b"")


def _send(socket: Any, data: bytes) -> None:
    """Feed the command; empty is the end of its input, which only the newer protocol can say."""
    if data:
        socket.send_binary(bytes([_STDIN]) + data)
    elif socket.getheaders().get("sec-websocket-protocol") == _V5:
        socket.send_binary(bytes([_CLOSE, _STDIN]))


def _receive(socket: Any) -> bytes | None:
    """The next message, None at the end."""
    opcode, data = socket.recv_data()
    if opcode == CLOSE:
        return None
    return data if opcode == BINARY else data if isinstance(data, bytes) else data.encode()


def _result(out: dict[int, list[bytes]], pod: str) -> ExecResult:
    stderr = b"".join(out[_STDERR])
    code = _exit_code(b"".join(out[_ERROR]), pod)
    return ExecResult(code, b"".join(out[_STDOUT]), stderr)


def _exit_code(error: bytes, pod: str) -> int:
    """The exit code that the error channel tells.

    Raises:
        UnavailableError: The connection ended without one. RejectedError: The command could not be started.
    """
    try:
        told: Table = json.loads(error)
    except ValueError:
        raise UnavailableError(
            f"The connection to {pod} ended before the command did; it may still run.", next_step="Look inside again."
        ) from None
    if told.get("status") == "Success":
        return 0
    for cause in rows(inside(told, "details"), "causes"):
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    message = str(told.get("message", ""))
    if "executable file not found" in message or "no such file" in message:
        return _NOT_FOUND
    if "permission denied" in message:
        return _NOT_EXECUTABLE
    raise RejectedError(f"Nothing can be run in {pod}: {message}", next_step="Its container must be running.")


@contextlib.contextmanager
def _raw() -> Generator[None]:
    """The terminal as the command's own: each key goes there at once."""
    import termios  # noqa: PLC0415  # only where there is a terminal
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
