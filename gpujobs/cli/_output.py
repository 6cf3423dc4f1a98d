"""What goes to stdout and how: text, JSON, and a quiet end when nobody reads any more."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import select
import sys
from typing import Any

SIGPIPE_CODE = 141


def write(data: bytes) -> None:
    """Bytes to stdout, as they are; they may stay in the buffer."""
    if sys.stdout is None:  # closed by the caller: `>&-`
        return
    sys.stdout.buffer.write(data)


def flush() -> None:
    """Let out what the buffer holds."""
    if sys.stdout is not None:
        sys.stdout.buffer.flush()


def check_reader() -> None:
    """For what may have nothing to say for long: notice that nobody reads any more.

    Raises:
        BrokenPipeError: The reader of stdout has gone.
    """
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):  # no stdout, or one that is no file
        return
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def line(text: str) -> None:
    """One line of text to stdout."""
    write(text.encode("utf-8", "backslashreplace") + b"\n")


def as_json(value: Any) -> None:
    """One JSON document to stdout; ASCII only, so that no value can drive a terminal."""
    line(json.dumps(value, indent=2))


def json_line(value: Any) -> None:
    """One JSON document on one line."""
    line(json.dumps(value))


def note(text: str) -> None:
    """One line about what goes on, to stderr."""
    to_stderr(f"gpujobs: {text}\n")


def to_stderr(text: str) -> None:
    """Text to stderr. That nobody reads it is no reason to fail: the answer and the exit code are elsewhere."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def is_terminal(stream: Any) -> bool:
    """Whether a person looks at this stream, on a terminal that can do more than print."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def closed_pipe() -> int:
    """The reader of stdout has gone: end without a word, as other filters do."""
    # What is still buffered would raise again when the interpreter ends.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.close(devnull)
    return SIGPIPE_CODE


def quiet_logging() -> None:
    """Keep log records off stderr: without any handler Python would print the warnings of libraries there."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
