"""Faults: the scheduler or the database is away, memory runs out, a job is preempted, the disk is full."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from slurm_tables import until_running

from gpujobs import Client, GpuJob, Reason, RejectedError, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from slurm_beds import Cluster

PATIENCE = 120


@pytest.fixture(scope="module")
def memory(installed: None) -> Iterator[Cluster]:
    """22.05 with memory limits by cgroup, and accounting that may be taken away."""
    from slurm_beds import Cluster  # noqa: PLC0415

    cluster = Cluster("gj-cg", 17600, ("--cgroup", "on", "--conf", "MessageTimeout=5", "--minjobage", "5")).up()
    yield cluster
    cluster.down()


HOG = "head -c 400000000 /dev/zero | tail -c 390000000 >/dev/null"


def test_running_out_of_memory_is_told(memory: Cluster, connect: Callable[..., Client]) -> None:
    """Also when only a child was killed and the command itself ended well, and by a task of many."""
    client = connect(memory)
    jobs = {
        "command": client.submit(["sh", "-c", f"exec sh -c '{HOG}; exit $?'"], memory="60MiB"),
        "survived": client.submit(["sh", "-c", f"({HOG}) || true; exit 0"], memory="60MiB"),
        "task": client.submit(["sh", "-c", f"test $GPUJOBS_RANK = 0 || {HOG}"], memory="60MiB", tasks_per_node=2),
    }
    for case, job in jobs.items():
        status = job.wait(timeout=PATIENCE)
        assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.OOM), (case, status)


def test_running_out_of_memory_is_told_when_slurm_has_forgotten_it(
    memory: Cluster, connect: Callable[..., Client]
) -> None:
    """The job's own record has the kernel's count."""
    client = connect(memory)
    job = client.submit(["sh", "-c", f"({HOG}) || true; exit 0"], memory="60MiB")
    memory.until_forgotten(job.ref.id)

    status = job.status()
    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.OOM), status


def test_a_scheduler_that_is_away_is_no_end(memory: Cluster, connect: Callable[..., Client]) -> None:
    """UNKNOWN while it is dead; known ends stay known; a waiter goes on by itself when it is back."""
    client = connect(memory)
    ended = client.submit(["sh", "-c", "exit 4"])
    assert ended.wait(timeout=PATIENCE).exit_code == 4
    go = memory.shared / f"go-{time.time_ns()}"
    job = client.submit(["sh", "-c", f"until [ -e {go} ]; do sleep 0.2; done; exit 6"])
    until_running(job)
    memory.until_saved()
    memory.fault("crash", "slurmctld")

    assert job.status().state is State.UNKNOWN
    assert ended.status().exit_code == 4
    assert client.explain(job).state is State.UNKNOWN
    memory.fault("start", "slurmctld")
    go.touch()
    assert job.wait(timeout=PATIENCE).exit_code == 6


def test_the_end_is_known_while_the_database_is_away(accounted: Cluster, connect: Callable[..., Client]) -> None:
    """The queue has forgotten the job and sacct cannot answer: its own record does; a lost one is UNKNOWN, not LOST."""
    client = connect(accounted)
    job = client.submit(["sh", "-c", "exit 5"])
    gone = client.submit(["true"], extra={"slurm": ["--hold"]})
    accounted.run("scancel", gone.ref.id)
    accounted.until_forgotten(job.ref.id, gone.ref.id)
    accounted.fault("crash", "slurmdbd")
    try:
        assert gone.status().state is State.UNKNOWN
        assert job.status().exit_code == 5
    finally:
        accounted.fault("start", "slurmdbd")
    deadline = time.monotonic() + PATIENCE
    while (status := gone.status()).state is State.UNKNOWN:
        assert time.monotonic() < deadline
        time.sleep(1)
    assert status.state is State.CANCELLED


def test_a_preempted_job_runs_again_or_says_so(accounted: Cluster, connect: Callable[..., Client]) -> None:
    """With requeue it is another attempt, without it FAILED preempted; the log of the first attempt stays."""
    client = connect(accounted)
    low = {"queue": "low", "nodes": 4, "extra": {"slurm": ["--exclusive"]}}
    script = "echo attempt $GPUJOBS_ATTEMPT; test $GPUJOBS_ATTEMPT = 1 || exec sleep 300"
    again = client.submit(GpuJob(command=["sh", "-c", script], requeue=True, **low))  # type: ignore[arg-type]
    deadline = time.monotonic() + PATIENCE
    while "attempt 0" not in [line.text for line in again.logs()]:
        assert time.monotonic() < deadline, again.explain()
        time.sleep(0.3)
    high = client.submit(GpuJob(command=["sleep", "1"], queue="high", nodes=4, extra={"slurm": ["--exclusive"]}))
    assert high.wait(timeout=PATIENCE).succeeded
    status = again.wait(timeout=PATIENCE)
    assert (status.state, status.attempt) == (State.SUCCEEDED, 1)
    assert {line.text for line in again.logs(attempt=0) if line.text.startswith("attempt")} == {"attempt 0"}

    once = client.submit(GpuJob(command=["sleep", "300"], requeue=False, **low))  # type: ignore[arg-type]
    until_running(once)
    client.submit(GpuJob(command=["true"], queue="high", nodes=4, extra={"slurm": ["--exclusive"]}))
    status = once.wait(timeout=PATIENCE)
    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.PREEMPTED)


def test_a_full_disk_is_one_clear_error(plain: Cluster, connect: Callable[..., Client], tmp_path: Path) -> None:
    """Nothing is sent; with room again the same key works."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=1777", "tmpfs", str(small)], check=True)
    try:
        client = connect(plain, job_dir=small / "jobs")
        (small / "filler").write_bytes(b"x" * 60_000)
        with pytest.raises(RejectedError, match="No space left"):
            client.submit(["true"], env={"A": "x" * 9000}, idempotency_key="full")
        (small / "filler").unlink()
        assert client.submit(["true"], idempotency_key="full").wait(timeout=PATIENCE).succeeded
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_few_questions_are_asked_for_many_jobs(plain: Cluster, connect: Callable[..., Client]) -> None:
    """One squeue for any number of statuses, and about one a second at most while they are waited on."""
    client = connect(plain)
    jobs = client.submit_many([GpuJob(command=["sleep", "6"], memory=f"{10 + i % 3}MiB") for i in range(40)])

    def one_look() -> int:
        before = asked(plain)
        client.status(jobs)
        return asked(plain) - before

    assert min(one_look() for _ in range(5)) == 1  # the script of a job that is just ended asks, too
    before, start = asked(plain), time.monotonic()
    client.wait(jobs, timeout=PATIENCE)

    assert asked(plain) - before <= (time.monotonic() - start) * 1.1 + 3


def asked(cluster: Cluster) -> int:
    """How many questions about jobs the scheduler has counted."""
    lines = [line for line in cluster.run("sdiag").splitlines() if "REQUEST_JOB_" in line or "REQUEST_JOB_USER" in line]
    return sum(int(line.split("count:")[1].split()[0]) for line in lines if "INFO" in line)
