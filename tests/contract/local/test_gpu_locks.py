"""One holder per GPU, machine-wide, and none handed out while a process of its last holder lives."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from gpujobs import ConfigError, Gpu, GpuJob, PreflightError, Reason, State
from gpujobs_local import _cgroup
from gpujobs_local._processes import boot_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.contract.local.conftest import Bench

NESTED = """
import sys
from pathlib import Path
from gpujobs import Client, Config
client = Client(Config.parse('[targets.local]\\nbackend = "local"\\ngpus = 4'), state_dir=Path(sys.argv[1]))
print(client.submit(["sh", "-c", "sleep 1; echo $CUDA_VISIBLE_DEVICES"], gpus=2).ref, flush=True)
"""
STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.2; done"
CLEARED = "env -i /bin/sh -c 'exec 0<&- 1>&- 2>&-; trap \"\" TERM; while :; do sleep 0.2; done' & echo up; wait; wait"


def kill_supervisor(bench: Bench, job: object) -> None:
    """As nobody should."""
    os.kill(bench.supervisor(job), signal.SIGKILL)  # type: ignore[arg-type]


def test_another_state_directory_shares_the_locks(real_gpus: Callable[..., Bench]) -> None:
    """What one user holds, another waits for, and is told so; then its turn comes without anybody asking."""
    mine, theirs = real_gpus("A100", name="mine"), real_gpus("A100", name="theirs")
    first = mine.sleeper(gpus=1)
    mine.running(first)
    second = theirs.submit("true", gpus=1)
    time.sleep(0.5)

    status = second.status()
    assert (status.state, status.reason and status.reason.code) == (State.PENDING, Reason.INSUFFICIENT_GPU)
    assert "0 of 1 are free" in str(second.explain())
    assert "another user or state directory" in " ".join(second.explain().details)
    assert theirs.client.capacity().free == 0
    first.cancel()
    assert second.wait(timeout=60).succeeded


@pytest.mark.parametrize("script", [STUBBORN, CLEARED], ids=["deaf", "cleared environment"])
def test_a_gpu_stays_taken_while_a_killed_supervisors_process_lives(bench: Bench, script: str) -> None:
    """Its lock is free at once, but the next job starts only when the process is gone; then it does."""
    if script is CLEARED and not _cgroup.permitted():
        script = STUBBORN  # without control groups such a process cannot be told from anybody else's
    first = bench.submit(script, gpus=4, grace=1)
    bench.says(first, "up")
    alive = bench.processes(first)
    second = bench.submit("true", gpus=1)
    kill_supervisor(bench, first)

    status = second.wait(timeout=60)
    assert status.succeeded
    assert alive
    assert not bench.processes(first)
    ended = first.status()
    assert (ended.state, ended.reason and ended.reason.code) == (State.FAILED, Reason.NODE_FAIL)
    assert ended.ended_at is not None
    assert status.started_at is not None
    assert status.started_at >= ended.ended_at
    bench.until(lambda: bench.client.capacity().free == 4)


def test_a_stranger_with_the_last_holders_mark_keeps_the_gpu(real_gpus: Callable[..., Bench]) -> None:
    """Another user's killed supervisor: its job's process cannot be ended by us, so its GPU is not handed out."""
    mine, theirs = real_gpus("A100", name="mine"), real_gpus("A100", name="theirs")
    first = theirs.submit(STUBBORN, gpus=1)
    theirs.says(first, "up")
    kill_supervisor(theirs, first)
    second = mine.submit("true", gpus=1)
    time.sleep(1.5)

    assert second.status().state is State.PENDING
    for pid in theirs.processes(first):
        with suppress(ProcessLookupError):  # its ``sleep`` of a moment
            os.kill(pid, signal.SIGKILL)
    assert second.wait(timeout=60).succeeded


def test_a_job_that_submits_jobs_does_not_own_them(bench: Bench) -> None:
    """The inner job outlives the outer one, whose GPUs are free as soon as it has ended itself."""
    outer = bench.client.submit(GpuJob(command=[sys.executable, "-c", NESTED, str(bench.directory)], gpus=2, grace=1))
    assert outer.wait(timeout=60).succeeded
    inner = bench.text(outer)[-1]

    assert bench.client.wait(inner, timeout=60).succeeded
    assert [line.text for line in bench.client.logs(inner)] == ["2,3"]
    bench.until(lambda: bench.client.capacity().free == 4)


@pytest.mark.parametrize("what", ["lock", "directory"])
def test_a_symbolic_link_in_place_of_a_lock_is_refused(
    real_gpus: Callable[..., Bench], tmp_path: Path, what: str
) -> None:
    """Nothing is written through it, and the error names it; jobs without GPUs run all the same."""
    bench = real_gpus("A100")
    victim = tmp_path / "victim"
    if what == "lock":
        victim.write_text("precious")
        (tmp_path / "locks").mkdir()
        (tmp_path / "locks" / "GPU-A100-0.lock").symlink_to(victim)
    else:
        victim.mkdir()
        (tmp_path / "locks").symlink_to(victim)

    with pytest.raises(ConfigError, match="locks"):
        bench.submit("true", gpus=1)
    assert bench.client.list_jobs(finished=True) == []
    assert (victim.read_text() == "precious") if what == "lock" else (list(victim.iterdir()) == [])
    assert bench.run("true")[1].succeeded


def test_one_broken_lock_does_not_hold_up_the_other_gpus(real_gpus: Callable[..., Bench], tmp_path: Path) -> None:
    """Without preflight it is found only when the GPU is to be taken: it is passed over."""
    bench = real_gpus("A100", "A100")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "GPU-A100-0.lock").mkdir()
    spec = GpuJob(command=["sh", "-c", "echo $CUDA_VISIBLE_DEVICES"], gpus=1)
    job = bench.client.submit(spec, preflight=False)

    assert job.wait(timeout=60).succeeded
    assert bench.text(job) == ["1"]


@pytest.mark.parametrize("note", [b"[1]", b"{", b'{"boot": 1}', b"\xff", b'{"boot":"%s","ref":5}'])
def test_nonsense_in_a_lock_file_is_nobody(real_gpus: Callable[..., Bench], tmp_path: Path, note: bytes) -> None:
    """Anybody may write into a lock file of the shared directory."""
    bench = real_gpus("A100")
    (tmp_path / "locks").mkdir()
    boot = boot_id().encode()
    (tmp_path / "locks" / "GPU-A100-0.lock").write_bytes(note.replace(b"%s", boot))

    assert bench.run("true", gpus=1)[1].succeeded


def test_a_new_lock_directory_is_open_to_all_and_sticky(real_gpus: Callable[..., Bench], tmp_path: Path) -> None:
    """Whatever the umask of who comes first."""
    bench = real_gpus("A100")
    before = os.umask(0o077)
    try:
        bench.run("true", gpus=1)
    finally:
        os.umask(before)

    assert (tmp_path / "locks").stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "locks" / "GPU-A100-0.lock").stat().st_mode & 0o777 == 0o666


def test_only_gpus_that_the_caller_sees_are_handed_out(
    real_gpus: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By index, by UUID and its beginning; more than it sees is refused with the number it sees."""
    bench = real_gpus("A100", "A100", "H100")
    script = "echo $CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-H")

    with pytest.raises(PreflightError, match="this machine has 2") as caught:
        bench.submit(script, gpus=3)
    assert "visible to this process: 2" in caught.value.next_step
    both, _ = bench.run(script, gpus=2)
    assert bench.text(both) == ["1,2 PCI_BUS_ID"]
    hopper, _ = bench.run(script, gpus="h100")
    assert bench.text(hopper) == ["2 PCI_BUS_ID"]


def test_a_job_is_given_gpus_of_its_submitter_whoever_starts_it(
    real_gpus: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass that starts it may be run by a process that sees others."""
    bench = real_gpus("A100", "A100")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    holder = bench.sleeper(gpus=1)
    bench.running(holder)
    waits = bench.submit("echo $CUDA_VISIBLE_DEVICES", gpus=1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert bench.run("echo $CUDA_VISIBLE_DEVICES", gpus=1)[1].succeeded

    assert waits.status().state is State.PENDING
    holder.cancel()
    assert waits.wait(timeout=60).succeeded
    assert bench.text(waits) == ["1"]


def test_a_job_without_gpus_sees_none(real_gpus: Callable[..., Bench]) -> None:
    """Whatever its own env says: what is not handed out is not visible."""
    bench = real_gpus("A100")
    job, _ = bench.run('echo "[$CUDA_VISIBLE_DEVICES]"', env={"CUDA_VISIBLE_DEVICES": "0"})

    assert bench.text(job) == ["[]"]


def test_a_type_is_matched_and_another_refused(real_gpus: Callable[..., Bench]) -> None:
    """The error says what there is."""
    bench = real_gpus("A100", "H100")

    with pytest.raises(PreflightError, match="b200") as caught:
        bench.submit("true", gpus="b200")
    assert "1 x A100" in caught.value.next_step
    with pytest.raises(PreflightError, match=r"81GiB|87"):
        bench.submit("true", gpus=Gpu(1, memory="81GiB"))
    assert bench.run("true", gpus=Gpu(2, memory="80GiB"))[1].succeeded


def test_what_exec_started_ends_with_the_job(bench: Bench) -> None:
    """It runs on the job's GPU, which is handed out only when it is gone as well."""
    job = bench.sleeper(gpus=4)
    bench.running(job)
    thread = threading.Thread(target=lambda: job.exec(["sleep", "600"]))
    thread.start()
    bench.until(lambda: len(bench.processes(job)) == 2)
    second = bench.submit("true", gpus=1)
    job.cancel()

    assert second.wait(timeout=60).succeeded
    thread.join(timeout=60)
    assert not thread.is_alive()
