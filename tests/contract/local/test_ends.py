"""How jobs end: limits, cancelling, retries, and what is left of their processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpujobs import GpuJob, Reason, State

if TYPE_CHECKING:
    from tests.contract.local.conftest import Bench


def test_a_time_limit_sends_term_and_after_the_grace_kill(bench: Bench) -> None:
    """A job that ignores TERM is killed one grace later, and has FAILED with reason timeout."""
    began = time.monotonic()
    job, status = bench.run("trap 'echo got TERM' TERM; echo up; while :; do sleep 0.1; done", time_limit=3, grace=1)

    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.TIMEOUT)
    assert (status.exit_code, status.signal) == (None, signal.SIGKILL)
    assert "got TERM" in bench.text(job)
    assert 3.9 < time.monotonic() - began < 30  # the grace of a job that names none


def test_a_time_limit_ends_the_whole_group(bench: Bench) -> None:
    """Children in the group go with their parent."""
    job, _ = bench.run("sleep 600 & sleep 600 & wait", time_limit=0.5, grace=1)

    bench.until(lambda: not bench.processes(job))


ESCAPE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
source, sink = os.pipe()
if os.fork():
    print(os.read(source, 20).decode(), flush=True)
    time.sleep(600)
os.setsid()
if os.fork():
    os._exit(0)
os.write(sink, str(os.getpid()).encode())
os.closerange(0, 50)
time.sleep(600)
"""


@pytest.mark.parametrize("how", ["time limit", "cancel"])
def test_what_escaped_its_group_is_ended_too(bench: Bench, how: str) -> None:
    """A double-forked daemon in its own session, deaf to TERM and without descriptors, does not outlive the job."""
    limit = 5.0 if how == "time limit" else None
    job = bench.client.submit(GpuJob(command=[sys.executable, "-c", ESCAPE], grace=0.5, gpus=1, time_limit=limit))
    bench.until(lambda: bench.text(job))
    if how == "cancel":
        job.cancel()

    assert job.wait(timeout=60).state is (State.CANCELLED if how == "cancel" else State.FAILED)
    bench.until(lambda: not bench.processes(job))
    daemon = Path(f"/proc/{bench.text(job)[0]}/cmdline")
    bench.until(lambda: not daemon.exists() or b"closerange" not in daemon.read_bytes())
    bench.until(lambda: bench.client.capacity().free == 4)


def test_a_gpu_is_not_free_while_a_left_child_holds_on(bench: Bench) -> None:
    """The job has ended well; the child it left has its grace, and only then is the GPU handed out."""
    first = bench.submit("trap '' TERM; sleep 600 & echo up", gpus=4, grace=1.5)
    second = bench.submit("true", gpus=1)
    ended, status = first.wait(timeout=60), second.wait(timeout=60)

    assert (ended.succeeded, status.succeeded) == (True, True)
    assert ended.ended_at is not None
    assert status.started_at is not None
    assert status.started_at - ended.ended_at > timedelta(seconds=1.4)
    assert not bench.processes(first)


def test_cancelling_what_waits_ends_it_at_once(bench: Bench) -> None:
    """It never runs."""
    first = bench.sleeper(gpus=4)
    second = bench.submit("echo ran", gpus=1)
    second.cancel()

    status = second.status()
    assert (status.state, status.started_at) == (State.CANCELLED, None)
    assert bench.text(second) == []
    first.cancel()


def test_cancelling_one_element_leaves_the_others(bench: Bench) -> None:
    """An element's ref means just it; cancelling the array ends the rest."""
    job = bench.submit("exec sleep 600", array=3)
    bench.until(lambda: [r.state for r in job.replicas()] == [State.RUNNING] * 3)
    bench.client.cancel(f"{job.ref}_1")
    bench.until(lambda: [r.state for r in job.replicas()][1] is State.CANCELLED)

    assert job.status().state is State.RUNNING
    job.cancel()
    assert job.wait(timeout=60).state is State.CANCELLED
    assert job.status().replicas.failed == 3


def test_cancel_between_two_attempts_is_cancelled(bench: Bench) -> None:
    """A job that is cancelled while its failed attempt is cleaned up has no further one, and is CANCELLED."""
    job = bench.submit("trap '' TERM; sleep 600 & echo failing; exit 3", retries=5, grace=5)
    bench.says(job, "failing")
    time.sleep(0.3)  # so that it mostly has exited; it is the same if not
    job.cancel()

    status = job.wait(timeout=60)
    assert (status.state, status.attempt) == (State.CANCELLED, 0)


def test_retries_are_attempts_with_logs_of_their_own(bench: Bench) -> None:
    """Three attempts, three logs, the last one's exit code."""
    job, status = bench.run("echo try $GPUJOBS_ATTEMPT; exit $((40 + GPUJOBS_ATTEMPT))", retries=2)

    assert (status.state, status.attempt, status.exit_code) == (State.FAILED, 2, 42)
    assert bench.text(job) == ["try 0", "try 1", "try 2"]
    assert bench.text(job, attempt=1) == ["try 1"]


def test_a_time_out_is_not_retried(bench: Bench) -> None:
    """More of the same would take as long."""
    _, status = bench.run("exec sleep 600", retries=3, time_limit=0.5)

    assert (status.attempt, status.reason and status.reason.code) == (0, Reason.TIMEOUT)


@pytest.mark.parametrize(
    ("script", "code", "number"), [("exit 5", 5, None), ("kill -9 $$", None, 9), ("exit 143", None, 15)]
)
def test_exit_and_signal_are_told_apart(bench: Bench, script: str, code: int | None, number: int | None) -> None:
    """Also a shell's way to say that a child of it was ended by a signal."""
    _, status = bench.run(script)

    assert (status.state, status.exit_code, status.signal) == (State.FAILED, code, number)


def test_a_deadline_ends_what_waits_and_what_runs(bench: Bench) -> None:
    """Queueing counts: reason deadline in both cases."""
    bench.sleeper(gpus=3)
    runs = bench.sleeper(gpus=1, deadline=4)
    waits = bench.submit("true", gpus=4, deadline=0.7)

    for job in (waits, runs):
        status = job.wait(timeout=60)
        assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.DEADLINE)
    assert (runs.status().started_at is None, waits.status().started_at is None) == (False, True)


def test_start_timeout_ends_only_what_waits(bench: Bench) -> None:
    """One that started in time runs on; one that did not has FAILED."""
    runs = bench.sleeper(gpus=4, start_timeout=4)
    bench.running(runs)
    waits = bench.submit("true", gpus=1, start_timeout=4)

    status = waits.wait(timeout=60)
    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.START_TIMEOUT)
    assert runs.status().state is State.RUNNING


def test_a_shutdown_ends_a_job_truthfully(bench: Bench) -> None:
    """TERM to the supervisor, as a machine that goes down sends: FAILED, reason node-fail."""
    job = bench.sleeper()
    os.kill(bench.supervisor(job), signal.SIGTERM)

    status = job.wait(timeout=60)
    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.NODE_FAIL)


def test_a_shutdown_requeues_what_may_be(bench: Bench) -> None:
    """With ``requeue=True`` it runs again as the next attempt once somebody looks."""
    job = bench.submit("test $GPUJOBS_ATTEMPT = 1 && exit 0; exec sleep 600", requeue=True)
    os.kill(bench.supervisor(job), signal.SIGTERM)

    status = job.wait(timeout=60)
    assert (status.state, status.attempt) == (State.SUCCEEDED, 1)


def test_a_job_is_not_deaf_to_signals(bench: Bench) -> None:
    """Whatever the submitter ignores or blocks, the job starts with every signal at its default."""
    program = (
        "import signal, sys\nfrom pathlib import Path\nfrom gpujobs import Client, Config\n"
        "for s in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1): signal.signal(s, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD])\n"
        "c = Client(Config.parse('[targets.local]\\nbackend = \"local\"\\ngpus = 4'), state_dir=Path(sys.argv[1]))\n"
        "print(c.submit(['grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status']).ref)\n"
        "print(c.submit(['sleep', '600'], grace=1).ref)\n"
    )
    shown, sleeps = subprocess.check_output([sys.executable, "-c", program, str(bench.directory)], text=True).split()
    assert bench.client.wait(shown, timeout=60).succeeded
    blocked, ignored = (int(line.text.split()[1], 16) for line in bench.client.logs(shown))
    internal = 0b11 << 31  # signals 32 and 33 are the C library's own: its posix_spawn leaves them ignored
    assert (blocked, ignored & ~internal) == (0, 0)
    bench.client.cancel(sleeps)
    assert bench.client.wait(sleeps, timeout=60).state is State.CANCELLED


def test_the_end_is_known_within_a_tenth_of_a_second(bench: Bench) -> None:
    """From the command's end to the return of ``wait``, in the best of several: it is no matter of a poll's period."""

    def delay() -> float:
        job, _ = bench.run("sleep 0.3; date +%s.%N")
        now = time.time()
        return now - float(bench.text(job)[0])

    assert any(delay() < 0.1 for _ in range(30))
