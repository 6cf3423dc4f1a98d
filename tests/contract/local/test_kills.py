"""The client killed at any point of a submission, then the same key again: one job, which ran once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import State

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from gpujobs import Job
    from tests.contract.local.conftest import Bench, MakeBench

SCRIPT = 'echo $GPUJOBS_KEY >> "$1"'
CALLS = "openat,pwrite64,fcntl,flock,fdatasync,fsync,mkdir,rename,unlink,link,ftruncate,vfork,clone,clone3,execve"
CLIENT = """
import sys
from pathlib import Path
import gpujobs._retry, gpujobs_local.backend, gpujobs_local._spawn
from gpujobs import Client, Config, GpuJob
client = Client(Config.parse('[targets.local]\\nbackend = "local"\\ngpus = 4'), state_dir=Path(sys.argv[1]))
client.status("local://local/1")
open("/proc/self/comm", "w").write("submitting")
client.submit(GpuJob(command=["sh", "-c", sys.argv[3], "sh", sys.argv[4]], gpus=1, files={"a": b"x"}, grace=2),
              idempotency_key=sys.argv[2])
open("/proc/self/comm", "w").write("submitted")
"""


def again(bench: Bench, key: str, ran: Path) -> Job:
    """What a user does after a crash."""
    return bench.submit(SCRIPT, str(ran), gpus=1, files={"a": b"x"}, idempotency_key=key)


def check(bench: Bench, jobs: list[Job], ran: Path) -> None:
    """Each key is one job, each ran once, and no GPU is held."""
    statuses = bench.client.wait(jobs, timeout=60)
    assert {s.state for s in statuses} == {State.SUCCEEDED}
    assert len({job.ref for job in jobs}) == len(jobs) == len(bench.client.list_jobs(finished=True))
    assert sorted(ran.read_text().split()) == sorted(job.key or "" for job in jobs)
    bench.until(lambda: bench.client.capacity().free == 4)


def lines_of_a_submission(bench: Bench, key: str, ran: Path, *, die_at: int | None = None) -> int:
    """Submit under a tracer in a forked child; how many lines of ours it ran, or 0 where it was killed."""
    source, sink = os.pipe()
    child = os.fork()
    if child:
        os.close(sink)
        with os.fdopen(source, "rb") as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        return int(said or b"0")
    count = 0

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        if "gpujobs" not in frame.f_code.co_filename and "/subprocess" not in frame.f_code.co_filename:
            return None
        if event == "line":
            count += 1
            if count == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    try:
        sys.settrace(trace)
        again(bench, key, ran)
        sys.settrace(None)
        os.write(sink, str(count).encode())
    finally:
        os._exit(0)


def test_killed_at_any_line(bench: Bench, tmp_path: Path) -> None:
    """Every so many of the lines that a submission runs."""
    kill_at_lines(bench, tmp_path / "ran", points=30)


def kill_at_lines(bench: Bench, ran: Path, *, points: int) -> None:
    """At so many of them."""
    lines_of_a_submission(bench, "warm", ran)
    total = lines_of_a_submission(bench, "whole", ran)
    assert total > 300
    jobs = [again(bench, "warm", ran), again(bench, "whole", ran)]
    killed = 0
    for line in range(1, total, max(1, total // points)):
        key = f"line-{line}"
        survived = lines_of_a_submission(bench, key, ran, die_at=line)
        assert survived < line  # how many there are differs by what else goes on
        killed += not survived
        jobs.append(again(bench, key, ran))

    assert killed > points // 2
    check(bench, jobs, ran)


@pytest.fixture(scope="session")
def strace() -> str:
    """The program; installed where it is missing and that is allowed."""
    if shutil.which("strace") is None and shutil.which("apt-get") and os.geteuid() == 0:
        for words in (["update", "-qq"], ["install", "-y", "-qq", "strace"]):
            subprocess.run(["apt-get", *words], check=True, stdout=subprocess.DEVNULL)
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed, and only root may install it")
    return found


def test_killed_at_system_calls(make_bench: MakeBench, strace: str, tmp_path: Path) -> None:
    """Those that change anything, between the first and the last of a submission, spread evenly."""
    kill_at_calls(make_bench(), strace, tmp_path, points=14)


def alone(bench: Bench) -> None:
    """Wait until no other process has the record file open: which calls a submission makes depends on that."""
    bench.until(lambda: not bench.ours("_supervisor"))


def kill_at_calls(bench: Bench, strace: str, directory: Path, *, points: int) -> None:
    """At so many of them."""
    ran = directory / "ran"
    argv = [sys.executable, "-c", CLIENT, str(bench.directory)]
    jobs = [again(bench, "first", ran)]
    log = directory / "trace"
    base = [strace, "-o", str(log), "-e", f"trace={CALLS}"]
    alone(bench)
    subprocess.run([*base, *argv, "seen", SCRIPT, str(ran)], check=True)
    jobs.append(again(bench, "seen", ran))
    calls = log.read_text().splitlines()
    first, last = (n for n, line in enumerate(calls, 1) if "/proc/self/comm" in line)
    assert last - first > 20
    names = [line.partition("(")[0] for line in calls]
    killed = 0
    for number in range(first, last - 1, max(1, (last - first) // points)):
        name = names[number]
        inject = ["-e", f"inject={name}:signal=KILL:when={names[: number + 1].count(name)}"]
        key = f"call-{number}-{name}"
        alone(bench)
        done = subprocess.run([*base, *inject, *argv, key, SCRIPT, str(ran)], check=False, stderr=subprocess.DEVNULL)
        killed += done.returncode != 0
        jobs.append(again(bench, key, ran))

    assert killed > 9
    check(bench, jobs, ran)
