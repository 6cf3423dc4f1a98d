"""The command line on a terminal, a pseudo one: tables, colours, spinners, questions, filtered logs."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

PROGRAM = str(Path(__file__).with_name("memory_main.py"))
REF = "memory://memory/1"


class Terminal:
    """A process on a pseudo-terminal of 100 columns, and all it has written there."""

    def __init__(self, *words: str, env: dict[str, str], program: Sequence[str]) -> None:
        self._main, child = pty.openpty()
        ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, *program, *words], stdin=child, stdout=child, stderr=child, env=env, start_new_session=True
        )
        os.close(child)
        self.seen = b""

    def until(self, text: bytes, within: float = 60.0) -> None:
        """Read until the text has come."""
        end = time.monotonic() + within
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not come: {self.seen!r}"
            if not self._read(0.2) and self._process.poll() is not None:
                assert text in self.seen, f"{text!r} did not come: {self.seen!r}"

    def type(self, text: bytes) -> None:
        """Press keys."""
        os.write(self._main, text)

    def interrupt(self) -> None:
        """What the terminal does on Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._process.poll() is None:
            self._read(0.1)
        while self._read(0.1):
            pass
        return self._process.returncode

    def close(self) -> None:
        """End what is left."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._main)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._main], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._main, 65536)
        except OSError:  # the other side has closed
            return False
        self.seen += data
        return bool(data)


class Terminals:
    """Starts processes on terminals and ends them after the test."""

    def __init__(self, tmp_path: Path) -> None:
        keep = {k: v for k, v in os.environ.items() if not k.startswith("GPUJOBS_") and k != "NO_COLOR"}
        self.env = keep | {"GPUJOBS_STATE_DIR": str(tmp_path), "TERM": "xterm-256color"}
        self.open: list[Terminal] = []

    def __call__(self, *words: str, program: Sequence[str] = (PROGRAM,), **env: str) -> Terminal:
        """A new one."""
        self.open.append(Terminal(*words, env=self.env | env, program=program))
        return self.open[-1]


@pytest.fixture
def terminal(tmp_path: Path) -> Generator[Terminals]:
    """A starter of terminals."""
    terminals = Terminals(tmp_path)
    yield terminals
    for one in terminals.open:
        one.close()


def test_tables_are_drawn_in_colour(terminal: Terminals) -> None:
    """On a terminal a table has a bold head and coloured states, and no tabs."""
    shown = terminal("status", REF)

    assert shown.end() == 0
    assert b"\x1b[1mREF" in shown.seen
    assert re.search(rb"\x1b\[31mLOST", shown.seen)
    assert b"\t" not in shown.seen


def test_no_color_is_honoured(terminal: Terminals) -> None:
    """NO_COLOR leaves no colour code; TERM=dumb gives the plain table."""
    plain = terminal("status", REF, NO_COLOR="1")
    dumb = terminal("status", REF, TERM="dumb")

    assert (plain.end(), dumb.end()) == (0, 0)
    assert not re.search(rb"\x1b\[[0-9;]*3[0-9]m", plain.seen)
    assert b"LOST" in plain.seen
    assert b"\x1b" not in dumb.seen
    assert b"REF\tNAME" in dumb.seen.replace(b"       ", b"\t") or b"REF" in dumb.seen


def test_log_to_a_terminal_is_filtered(terminal: Terminals) -> None:
    """Colours pass; titles and reports do not."""
    text = "\x1b]0;owned\x07\x1b[32mgreen\x1b[0m\x1b[6n\n"
    shown = terminal("run", "--env", f"OUT={text}", "--", "work", "0", "0.2")

    assert shown.end() == 0
    assert b"\x1b[32mgreen\x1b[0m\r\n" in shown.seen
    assert b"owned" not in shown.seen
    assert b"\x1b[6n" not in shown.seen


def test_waiting_is_shown_live_and_the_end_stays(terminal: Terminals) -> None:
    """A spinner while it runs; the ref before it and the end after it are lines that stay."""
    shown = terminal("run", "--", "work", "3", "3")

    assert shown.end() == 3
    assert f"gpujobs: submitted {REF}\r\n".encode() in shown.seen
    assert "⠋".encode() in shown.seen
    assert f"gpujobs: {REF} FAILED: ".encode() in shown.seen
    assert b"\x1b[?25h" in shown.seen  # the cursor is back


@pytest.mark.parametrize(
    ("key", "code", "said"),
    [
        (b"d\n", 130, b"left " + REF.encode()),
        (b"c\n", 130, b"cancelling"),
        (b"\n", 0, b"SUCCEEDED"),
        (b"\x04", 130, b"left "),
    ],
)
def test_ctrl_c_asks(terminal: Terminals, key: bytes, code: int, said: bytes) -> None:
    """On a terminal Ctrl-C asks: detach, cancel, or go on; the end of input detaches."""
    shown = terminal("run", "--", "work", "0", "8" if key == b"\n" else "600")
    shown.until(b"RUNNING")

    shown.interrupt()
    shown.until(b"[Enter] to go on following?")
    shown.type(key)

    assert shown.end() == code
    assert said in shown.seen


def test_second_ctrl_c_leaves(terminal: Terminals) -> None:
    """Ctrl-C at the question leaves at once; the ref is on the screen already."""
    shown = terminal("run", "--", "work", "0", "600")
    shown.until(b"RUNNING")
    shown.interrupt()
    shown.until(b"[Enter]")

    shown.interrupt()

    assert shown.end() == 130
    assert REF.encode() in shown.seen


def test_hostile_names_do_not_reach_the_terminal(terminal: Terminals) -> None:
    """A ref with escapes in an error is shown, not obeyed; brackets are no markup."""
    shown = terminal("status", "local://x/\x1b]0;owned\x07[bold]")

    assert shown.end() == 2
    assert b"\x1b]" not in shown.seen
    assert b"[bold]" in shown.seen


def test_ps_of_nothing_says_so(terminal: Terminals) -> None:
    """A person is not left with an empty table."""
    shown = terminal("ps")

    assert shown.end() == 0
    assert b"there is nothing to list; --all shows also what has ended" in shown.seen


def test_ps_watch_redraws(terminal: Terminals) -> None:
    """``--watch`` keeps one table in its place until Ctrl-C."""
    shown = terminal("ps", "--watch", "--interval", "0.1s")
    shown.until(b"REF")

    shown.interrupt()

    assert shown.end() == 130
    assert b"Traceback" not in shown.seen


def test_exec_is_interactive_on_a_terminal(terminal: Terminals) -> None:
    """The command inside the workload has this terminal, and gives its exit code."""
    local = ("-m", "gpujobs.cli")
    submitted = terminal("submit", "--", "sh", "-c", "echo up; exec sleep 600", program=local)
    assert submitted.end() == 0
    ref = submitted.seen.decode().strip()
    terminal("logs", "-f", ref, program=local).until(b"up")

    shown = terminal("exec", ref, "--", "sh", "-c", "test -t 0 && read x && echo got $x && exit 6", program=local)
    shown.type(b"typed\n")

    assert shown.end() == 6
    assert b"got typed" in shown.seen
    assert terminal("cancel", ref, program=local).end() == 0
    assert terminal("wait", "-q", ref, program=local).end() == 130
