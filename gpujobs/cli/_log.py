"""Log lines on their way to a person, a pipe or a program."""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING, Any, Literal

from gpujobs.cli import _output as output
from gpujobs.cli._text import for_terminal
from gpujobs.states import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpujobs.client import Client
    from gpujobs.refs import Ref
    from gpujobs.results import LogLine

Form = Literal["plain", "json"]


class LogWriter:
    """Writes lines byte for byte; towards a terminal without what could take it over.

    Args:
        prefix: Say which copy wrote a line.
        timestamps: Say when, where the system recorded it.
        as_json: One JSON object per line instead.
        to_stderr: Leave stdout to something else.
    """

    def __init__(
        self, *, prefix: bool = False, timestamps: bool = False, as_json: bool = False, to_stderr: bool = False
    ) -> None:
        self._prefix = prefix
        self._timestamps = timestamps
        self._json = as_json
        self._stream = sys.stderr if to_stderr else sys.stdout
        self._filter = output.is_terminal(self._stream)
        self._open: tuple[int, int] | None = None
        self.bare = not (prefix or timestamps or as_json or self._filter)
        """Whether bytes go out as they come in, with nothing added."""
        self.written = False

    def log(self, client: Client, ref: Ref, **query: Any) -> Iterator[bytes | LogLine]:
        """What is to be written of a workload: its bytes where that will do, else its lines."""
        return client.log_bytes(ref, **query) if self.bare else client.logs(ref, **query)

    def write(self, items: Sequence[bytes | LogLine]) -> None:
        """Write some of that; it may stay in the buffer until ``flush``."""
        self.written = self.written or bool(items)
        for item in items:
            if isinstance(item, bytes):
                self._write_bytes(item)
            else:
                self._write_line(item)

    def _write_bytes(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.buffer.write(data)

    def _write_line(self, line: LogLine) -> None:
        if self._json:
            output.json_line(as_dict(line))
        elif line.gap:
            self.flush()
            self._end_open_line()
            output.note(f"gap in the log: {line.text}")
        else:
            self._plain(line)

    def flush(self) -> None:
        """Let out what is written."""
        if self._stream is not None:
            self._stream.buffer.flush()

    def finish(self) -> None:
        """On a terminal, leave the cursor at the start of a line."""
        if self._filter:
            self._end_open_line()
        self.flush()

    def _plain(self, line: LogLine) -> None:
        origin = (line.replica, line.attempt)
        data = for_terminal(line.raw) if self._filter else line.raw
        if self._prefix or self._timestamps:
            if self._open not in {None, origin}:
                self._end_open_line()
            if self._open is None:
                data = self._head(line) + data
        self._open = None if line.raw.endswith((b"\n", b"\r")) else origin
        self._write_bytes(data)

    def _head(self, line: LogLine) -> bytes:
        parts = [rfc3339(line.time) or "-"] if self._timestamps else []
        parts += [f"[{line.replica}]"] if self._prefix else []
        return " ".join([*parts, ""]).encode()

    def _end_open_line(self) -> None:
        if self._open is not None and self._stream is not None:
            self._stream.buffer.write(b"\n")
            self._open = None


def as_dict(line: LogLine) -> dict[str, Any]:
    """The line as JSON; ``raw`` only where ``text`` does not hold all of its bytes."""
    found: dict[str, Any] = {
        "text": line.text,
        "replica": line.replica,
        "attempt": line.attempt,
        "time": rfc3339(line.time),
        "stream": line.stream,
        "gap": line.gap,
    }
    if line.text.encode() != line.raw.rstrip(b"\r\n") and not line.gap:
        found["raw"] = base64.b64encode(line.raw).decode()
    return found
