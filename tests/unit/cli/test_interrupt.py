"""Real processes and real signals: Ctrl-C, SIGTERM, closed pipes, full disks."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from gpujobs.cli._interrupt import handling, next_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

PROGRAM = str(Path(__file__).with_name("memory_main.py"))
REF = "memory://memory/1"


@pytest.fixture
def start(tmp_path: Path) -> Generator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command line as a process of its own, with pipes; what is left of it ends with the test."""
    processes: list[subprocess.Popen[str]] = []
    env = {k: v for k, v in os.environ.items() if not k.startswith("GPUJOBS_")}
    env |= {"GPUJOBS_STATE_DIR": str(tmp_path)}

    def started(*words: str, program: str = PROGRAM, stdout: int | IO[str] = subprocess.PIPE) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, program, *words],
            env=env,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def _until(process: subprocess.Popen[str], text: str) -> str:
    """Read stderr up to the line that has the text."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} did not come: {seen!r}")


@pytest.mark.parametrize(
    ("number", "words", "code"),
    [
        (signal.SIGINT, [], 130),
        (signal.SIGINT, ["--on-interrupt", "detach"], 130),
        (signal.SIGINT, ["--on-interrupt", "ask"], 130),
        (signal.SIGTERM, ["--on-interrupt", "cancel"], 143),
    ],
)
def test_interrupt_detaches(
    start: Callable[..., subprocess.Popen[str]], number: int, words: list[str], code: int
) -> None:
    """Without a terminal Ctrl-C leaves the job running and says its ref; SIGTERM does so always."""
    process = start("run", *words, "--", "work", "0", "600")
    _until(process, "RUNNING")

    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (code, "")
    assert err == f"gpujobs: left {REF} running; follow it with: gpujobs logs -f {REF}\n"


def test_interrupt_cancels_if_so_wished(start: Callable[..., subprocess.Popen[str]]) -> None:
    """``--on-interrupt cancel`` ends the job, follows it to its end and exits 130."""
    process = start("run", "--on-interrupt", "cancel", "--", "work", "0", "600")
    _until(process, "RUNNING")

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert f"cancelling {REF}" in err
    assert err.splitlines()[-1] == f"gpujobs: {REF} CANCELLED: It was cancelled."


def test_second_interrupt_leaves_at_once(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """While a cancellation hangs, Ctrl-C again exits 130 at once."""
    hanging = tmp_path / "hanging.py"
    source = Path(PROGRAM).read_text()
    hanging.write_text(
        source.replace(
            "    sys.exit(", "    backend.cancel = lambda refs: __import__('time').sleep(600)\n    sys.exit("
        )
    )
    process = start("run", "--on-interrupt", "cancel", "--", "work", "0", "600", program=str(hanging))
    _until(process, "RUNNING")
    process.send_signal(signal.SIGINT)
    _until(process, "cancelling")

    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 130
    assert time.monotonic() - began < 60


def test_interrupt_of_wait_says_that_it_goes_on(start: Callable[..., subprocess.Popen[str]]) -> None:
    """Ctrl-C in any other verb exits 130 without a traceback."""
    process = start("ps", "--watch", "--interval", "0.1s")
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (130, "Interrupted; what was submitted goes on.\n")


def test_log_comes_at_once_and_whole(start: Callable[..., subprocess.Popen[str]]) -> None:
    """A log of many lines reaches a slow reader whole and in order."""
    text = "".join(f"{i}\n" for i in range(20_000))
    process = start("run", "-q", "--env", f"OUT={text}", "--", "work", "0", "0")

    out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (0, text, "")


@pytest.mark.parametrize("verb", ["run", "schema", "ps"])
def test_closed_pipe_ends_quietly(start: Callable[..., subprocess.Popen[str]], verb: str) -> None:
    """When nobody reads stdout any more there is no traceback and no word; the exit code is SIGPIPE's."""
    words = {
        "run": ["run", "-q", "--env", "OUT=" + "x\n" * 50_000, "--", "work", "0", "0.2"],
        "schema": ["schema"],
        "ps": ["ps", "--watch", "--json", "--all", "--interval", "0.1s"],
    }[verb]
    read, write = os.pipe()
    os.close(read)
    process = start(*words, stdout=write)
    os.close(write)

    _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
@pytest.mark.parametrize(
    ("words", "code"), [(["schema"], 1), (["run", "-q", "--env", "OUT=x", "--", "work", "0", "0"], 125)]
)
def test_full_disk_is_two_lines(start: Callable[..., subprocess.Popen[str]], words: list[str], code: int) -> None:
    """An output that cannot be written is an error, not a success."""
    with Path("/dev/full").open("w") as full:
        process = start(*words, stdout=full)
        _, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert [line.partition(":")[0] for line in err.splitlines()] == ["Error", "Next"]
    assert "No space left on device" in err


def test_without_stdout_and_stderr() -> None:
    """Closed descriptors are no reason to fail: the exit code is the job's."""
    line = f"exec '{sys.executable}' '{PROGRAM}' run -- work 3 0 >&- 2>&- <&-"

    assert subprocess.run(["sh", "-c", line], check=False, timeout=60).returncode == 3


def test_a_signal_that_comes_just_before_blocking_is_handled() -> None:
    """Another thread takes it here: as in the race, nothing wakes the main thread that waits for an event."""
    events: queue.SimpleQueue[int] = queue.SimpleQueue()

    def take_it() -> None:
        time.sleep(0.1)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    with handling(lambda number, _: events.put(number), signal.SIGUSR1):
        thread = threading.Thread(target=take_it)
        thread.start()
        assert next_of(events) == signal.SIGUSR1
        thread.join()
