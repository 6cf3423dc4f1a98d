"""``logs`` into a pipe: real jobs, real pipes, and readers that are slow, gone or impatient."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Protocol

import pytest

from gpujobs import Client, Config, GpuJob, Job

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

PATIENCE = 120.0
CONFIG = '[targets.local]\nbackend = "local"\ngpus = 4\n'


class Follow(Protocol):
    """Starts ``gpujobs logs`` with a pipe."""

    def __call__(self, *words: str) -> subprocess.Popen[bytes]:
        """With these words."""
        ...


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """Submits what the command line then reads; what still runs is ended."""
    with Client(Config.parse(CONFIG), state_dir=tmp_path / "state") as client:
        yield client
        client.cancel([status.ref for status in client.list_jobs()])


@pytest.fixture
def logs(tmp_path: Path) -> Generator[Follow]:
    """The program on the same state; what is left of it ends with the test."""
    (tmp_path / "gpujobs.toml").write_text(CONFIG)
    env = {k: v for k, v in os.environ.items() if not k.startswith("GPUJOBS_")}
    env |= {"GPUJOBS_STATE_DIR": str(tmp_path / "state"), "GPUJOBS_CONFIG": str(tmp_path / "gpujobs.toml")}
    processes: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "gpujobs.cli", "logs", *words]
        processes.append(subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def job_of(client: Client, script: str, **fields: object) -> Job:
    """A job of a line of ``sh``."""
    return client.submit(GpuJob(command=["sh", "-c", script], grace=1, **fields))  # type: ignore[arg-type]  # as given


def read(process: subprocess.Popen[bytes], size: int) -> bytes:
    """At most so many bytes, as soon as there are any."""
    assert process.stdout is not None
    return os.read(process.stdout.fileno(), size)


def ends(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """(its exit code, what it said on stderr)."""
    assert process.stderr is not None
    said = process.stderr.read()
    return process.wait(PATIENCE), said


@pytest.mark.parametrize("words", [[], ["-f"]])
def test_a_big_log_reaches_a_slow_reader_whole(client: Client, logs: Follow, words: list[str]) -> None:
    """Twenty megabytes of any bytes; who writes waits for who reads."""
    job = job_of(client, r"for i in $(seq 2000); do printf '\377\r50%%\r\n\033[2J%010240d' $i; done")
    assert job.wait(timeout=PATIENCE).succeeded
    process = logs(*words, str(job.ref))
    assert process.stdout is not None

    seen = b""
    for _ in range(20):
        seen += read(process, 1000)
        time.sleep(0.02)
    seen += process.stdout.read()

    assert ends(process) == (0, b"")
    whole = b"".join(b"\xff\r50%%\r\n\x1b[2J%010240d" % i for i in range(1, 2001))
    assert hashlib.sha256(seen).digest() == hashlib.sha256(whole).digest()


def test_what_has_no_line_end_comes_at_once(client: Client, logs: Follow, tmp_path: Path) -> None:
    """A row of dots grows while the job works: it goes on only once the first was read."""
    go = tmp_path / "go"
    job = job_of(client, f"printf .; until [ -e '{go}' ]; do sleep 0.05; done; printf .", time_limit="5m")
    process = logs("-f", str(job.ref))

    first = read(process, 10)
    go.touch()

    assert (first, read(process, 10), read(process, 10), ends(process)) == (b".", b".", b"", (0, b""))


@pytest.mark.parametrize("more", ["", "yes | head -c 20000000;"])
def test_a_reader_that_has_gone_is_noticed(client: Client, logs: Follow, more: str) -> None:
    """Also while the job has nothing to say; quietly, with SIGPIPE's exit code."""
    job = job_of(client, f"echo hello; {more} exec sleep 600", time_limit="5m")
    process = logs("-f", str(job.ref))
    assert process.stdout is not None
    assert read(process, 5) == b"hello"

    process.stdout.close()

    assert ends(process) == (141, b"")
    assert not job.status().final
    job.cancel()


@pytest.mark.parametrize("more", ["", "yes | head -c 20000000;"])
def test_an_interrupt_ends_it_at_once(client: Client, logs: Follow, more: str) -> None:
    """Waiting for the job, or for a reader that does not read; the job goes on."""
    job = job_of(client, f"echo hello; {more} exec sleep 600", time_limit="5m")
    process = logs("-f", str(job.ref))
    assert read(process, 5) == b"hello"
    time.sleep(0.5)  # the pipe fills

    process.send_signal(signal.SIGINT)

    assert ends(process) == (130, b"")
    assert not job.status().final
    job.cancel()


def test_a_gap_is_told_between_the_bytes(client: Client, logs: Follow, tmp_path: Path) -> None:
    """On stderr; the rest of the log comes as ever."""
    out, go = tmp_path / "out", tmp_path / "go"
    job = job_of(client, f"echo first; until [ -e '{go}' ]; do sleep 0.05; done", output=str(out), time_limit="5m")
    process = logs("-f", str(job.ref))
    assert read(process, 100) == b"first\n"

    out.write_bytes(b"new\n")
    again = read(process, 100)
    go.touch()

    assert again == b"new\n"
    code, said = ends(process)
    assert code == 0
    assert b"gpujobs: gap in the log: " in said
    assert b"was cut from 6 to" in said


def test_lines_of_several_copies_stay_whole(client: Client, logs: Follow) -> None:
    """Without a prefix: two that write halves of lines at once do not write into each other's lines."""
    halves = "for i in $(seq 10); do printf $GPUJOBS_ARRAY_INDEX; sleep 0.03; echo $GPUJOBS_ARRAY_INDEX; done"
    job = job_of(client, halves, array=2)
    process = logs("-f", "--no-prefix", str(job.ref))
    assert process.stdout is not None

    seen = process.stdout.read()

    assert ends(process) == (0, b"")
    assert sorted(seen.splitlines()) == [b"00"] * 10 + [b"11"] * 10
