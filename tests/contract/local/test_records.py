"""The record file and its directory: versions, damage, no room, many at once."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, ConfigError, GpuJob, GpuJobsError, RejectedError, SubmitManyError
from gpujobs_local import _filesystem

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.contract.local.conftest import Bench, MakeBench


def test_a_newer_record_file_is_left_alone(bench: Bench) -> None:
    """One error that says what to do; nothing in it changes."""
    bench.run("true")
    bench.until(lambda: not bench.ours("_supervisor"))
    bench.rows("PRAGMA user_version = 99")
    before = (bench.home / "jobs.sqlite3").read_bytes()

    with pytest.raises(ConfigError, match="version 99") as caught:
        bench.submit("true")
    assert "upgrade gpujobs" in caught.value.next_step
    with pytest.raises(ConfigError, match="version 99"):
        bench.client.list_jobs()
    assert (bench.home / "jobs.sqlite3").read_bytes() == before


def test_a_damaged_record_file_is_named(bench: Bench) -> None:
    """It is not overwritten."""
    bench.home.mkdir(parents=True)
    (bench.home / "jobs.sqlite3").write_bytes(b"this is no database, it is a text" * 100)

    with pytest.raises(RejectedError, match="not a database") as caught:
        bench.submit("true")
    assert "Move" in caught.value.next_step
    assert (bench.home / "jobs.sqlite3").read_bytes().startswith(b"this is no")


@contextmanager
def mounted(where: Path, options: str) -> Generator[None]:
    """A small file system of memory there."""
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@needs_root
def test_a_read_only_state_directory_is_named(bench: Bench) -> None:
    """Who may write it is the question to ask."""
    with mounted(bench.directory, "size=4m"):
        bench.run("true")
        bench.until(lambda: not bench.ours("_supervisor"))
        subprocess.run(["mount", "-o", "remount,ro", str(bench.directory)], check=True)
        with pytest.raises(GpuJobsError, match=str(bench.directory)) as caught:
            bench.submit("true")
        assert "GPUJOBS_STATE_DIR" in caught.value.next_step


def test_a_state_directory_that_cannot_be_looked_into_is_named(bench: Bench) -> None:
    """Looking is one clear error too, not only submitting."""
    with Client(bench.config, state_dir=bench.directory / ("x" * 300)) as client:
        with pytest.raises(GpuJobsError, match="state directory"):
            client.list_jobs()
        with pytest.raises(GpuJobsError, match="state directory"):
            client.status("local://local/1")


@needs_root
def test_no_room_for_the_first_submission(bench: Bench) -> None:
    """One clear error, nothing taken; with room it works, with the same key."""
    with mounted(bench.directory, "size=64k"):
        with pytest.raises(GpuJobsError, match=r"[Nn]o space|full|cannot be") as caught:
            bench.submit("true", idempotency_key="k")
        assert "room" in caught.value.next_step.lower()
        subprocess.run(["mount", "-o", "remount,size=8m", str(bench.directory)], check=True)
        assert bench.run("true", idempotency_key="k")[1].succeeded
        assert len(bench.client.list_jobs(finished=True)) == 1
        bench.until(lambda: not bench.ours("_supervisor"))


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


@needs_root
def test_no_room_later_loses_nothing(bench: Bench) -> None:
    """What runs keeps its end until there is room to write it down; what is submitted is refused; both then go on."""
    with mounted(bench.directory, "size=1m"):
        job, gate = bench.gated("exit 3", idempotency_key="a")
        bench.running(job)
        filler = bench.directory / "filler"
        _fill(filler)
        with pytest.raises(GpuJobsError, match=r"[Nn]o space|full|cannot be"):
            bench.submit("true", files={"big": b"x" * 200_000}, idempotency_key="b")
        gate.touch()
        time.sleep(1.5)
        assert not job.status().final
        filler.unlink()

        assert job.wait(timeout=60).exit_code == 3
        assert bench.run("true", files={"big": b"x" * 200_000}, idempotency_key="b")[1].succeeded
        assert len(bench.client.list_jobs(finished=True)) == 2
        bench.until(lambda: not bench.ours("_supervisor"))


def test_a_network_file_system_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming it and a directory that will do; nothing is made there."""
    monkeypatch.setattr(_filesystem, "NETWORK", frozenset(_filesystem.NETWORK | {_kind(bench.directory)}))

    with pytest.raises(ConfigError, match="network file system") as caught:
        bench.submit("true")
    assert "GPUJOBS_STATE_DIR" in caught.value.next_step
    assert not bench.home.exists()


def _kind(path: Path) -> str:
    """The type of a directory's file system, asked of ``stat`` or ``df``."""
    shown = subprocess.run(["df", "--output=fstype", str(path)], capture_output=True, text=True, check=True)
    return shown.stdout.split()[1]


def test_one_refused_of_many_loses_none(bench: Bench) -> None:
    """The refs of the others are in the error, and they run."""
    specs = [GpuJob(command=["true"]), GpuJob(command=["true"], files={".": b""}), GpuJob(command=["true"])]
    with pytest.raises(SubmitManyError) as caught:
        bench.client.submit_many(specs)

    refs = [ref for ref in caught.value.refs if ref is not None]
    assert [ref is None for ref in caught.value.refs] == [False, True, False]
    assert all(s.succeeded for s in bench.client.wait(refs, timeout=60))
    assert len(bench.client.list_jobs(finished=True)) == 2


def test_many_are_taken_in_few_transactions(bench: Bench) -> None:
    """A thousand waiting jobs in seconds, not in a thousand times a disk's latency; listed in half a second."""
    bench.running(bench.sleeper(gpus=4))
    bench.client.submit_many([GpuJob(command=["true"], gpus=1) for _ in range(1000)])

    def took() -> float:
        began = time.monotonic()
        assert len(bench.client.list_jobs()) == 1001
        return time.monotonic() - began

    assert min(took() for _ in range(5)) < 2
    raised = bench.rows("SELECT value FROM meta WHERE name = 'changes'")[0][0]
    assert raised >= 1001


def _submit_forked(bench: Bench, key: str) -> None:
    os._exit(0 if bench.submit("echo x", idempotency_key=key).wait(timeout=60).succeeded else 1)


def test_a_client_works_on_in_forks(bench: Bench) -> None:
    """The same client, the same key, in four children at once: one job."""
    bench.run("true")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_submit_forked, args=(bench, "same")) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)

    assert [child.exitcode for child in children] == [0] * 4
    assert len(bench.client.list_jobs(finished=True)) == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # what this is about
def test_forks_in_the_midst_of_submissions_hold_nothing(bench: Bench) -> None:
    """Children that live on with copies of every open file keep neither the scheduler nor a GPU locked."""
    bench.run("true")
    children: list[int] = []

    def submit() -> None:
        for _ in range(6):
            bench.submit("true", gpus=4)

    threads = [threading.Thread(target=submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        children.append(pid)
        time.sleep(0.005)
    try:
        refs = [s.ref for s in bench.client.list_jobs(finished=True)]
        assert all(s.succeeded for s in bench.client.wait(refs, timeout=40))
    finally:
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def test_a_long_lived_client_leaks_nothing(bench: Bench) -> None:
    """No descriptor, thread or zombie is left by two hundred submissions."""
    bench.running(bench.sleeper(gpus=4))
    before = (len(os.listdir("/proc/self/fd")), threading.active_count())  # noqa: PTH208
    jobs = [bench.submit("true", gpus=i % 10) for i in range(200) if i % 10 < 5]
    jobs += bench.client.submit_many([GpuJob(command=["true"], gpus=1) for _ in range(100)])
    bench.client.cancel(jobs)
    bench.client.wait(jobs, timeout=60)

    bench.until(lambda: (len(os.listdir("/proc/self/fd")), threading.active_count()) == before)  # noqa: PTH208
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_few_descriptors_are_enough(bench: Bench) -> None:
    """Submitting, waiting and reading logs work under a low limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 12, hard))  # noqa: PTH208
    try:
        job, status = bench.run("echo hi", gpus=4)
        assert (status.succeeded, bench.text(job)) == (True, ["hi"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_elements(bench: Bench) -> None:
    """A big array is taken at once; its parallelism holds; cancelling it is quick."""
    job = bench.client.submit(["sleep", "600"], array=1000, parallelism=2, grace=1)
    bench.until(lambda: job.status().replicas.running == 2)
    began = time.monotonic()
    job.cancel()
    status = job.wait(timeout=30)

    assert (status.replicas.wanted, status.replicas.failed) == (1000, 1000)
    assert time.monotonic() - began < 30


def test_two_targets_do_not_know_each_other(make_bench: MakeBench) -> None:
    """Each has records of its own in one state directory."""
    bench = make_bench()
    config = type(bench.config).parse('[targets.other]\nbackend = "local"\ngpus = 1\n')
    with Client(config, state_dir=bench.directory) as other:
        job = other.submit(["true"], target="other")
        assert job.wait(timeout=60).succeeded
        assert str(job.ref) == "local://other/1"
    assert bench.client.list_jobs(finished=True) == []
