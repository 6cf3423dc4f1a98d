"""Who may start when: first come first served, back-filling where nobody is delayed, sharing, parallelism."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gpujobs import Gpu, PreflightError, Reason, State
from gpujobs_local._flock import is_locked, try_lock, unlock

if TYPE_CHECKING:
    from gpujobs import Job
    from tests.contract.local.conftest import Bench, MakeBench


def started(*jobs: Job) -> list[str]:
    """The ids of jobs in the order in which they started."""
    times = {job.ref.id: job.wait(timeout=60).started_at for job in jobs}
    known = {name: time for name, time in times.items() if time is not None}
    assert known.keys() == times.keys()
    return sorted(known, key=lambda name: known[name])


def test_jobs_start_in_the_order_in_which_they_came(bench: Bench) -> None:
    """One GPU each on a machine of four that is full."""
    first = bench.sleeper(gpus=4)
    rest = [bench.submit("sleep 0.1", gpus=4) for _ in range(4)]
    first.cancel()

    assert started(*rest) == [job.ref.id for job in rest]


def test_a_small_job_does_not_pass_a_big_one_that_waits(bench: Bench) -> None:
    """Two GPUs are free, but the job ahead waits for all four: whoever comes later would delay it."""
    running = bench.sleeper(gpus=2)
    big = bench.submit("true", gpus=4)
    small = bench.submit("true", gpus=1)
    time.sleep(1)

    assert [s.state for s in bench.client.status([big, small])] == [State.PENDING, State.PENDING]
    assert small.explain().details[0] == "1 waiting job comes before it."
    running.cancel()
    assert started(big, small) == [big.ref.id, small.ref.id]


def test_of_many_that_come_at_once_one_waits_to_start_them(bench: Bench) -> None:
    """While GPUs are handed out one submission waits for its turn, the others return, and all are started."""
    bench.run("true")
    bench.until(lambda: not bench.ours("_supervisor"))  # the last thing that one does is handing out
    handing_out = try_lock(bench.home / "schedule.lock")
    assert handing_out is not None
    jobs: list[Job] = []
    waits = threading.Thread(target=lambda: jobs.append(bench.submit("true", gpus=1)))
    waits.start()
    bench.until(lambda: is_locked(bench.home / "next.lock"))

    jobs += [bench.submit("true", gpus=1) for _ in range(3)]
    assert len(jobs) == 3
    unlock(handing_out)
    waits.join(timeout=60)

    assert [s.state for s in bench.client.wait(jobs, timeout=60)] == [State.SUCCEEDED] * 4


def test_a_job_that_needs_no_gpu_passes(bench: Bench) -> None:
    """It takes nothing that anybody ahead waits for."""
    bench.sleeper(gpus=4)
    waits = bench.submit("true", gpus=1)

    assert bench.submit("true").wait(timeout=60).succeeded
    assert waits.status().state is State.PENDING


def test_a_higher_priority_goes_first(bench: Bench) -> None:
    """The higher the number the earlier."""
    first = bench.sleeper(gpus=4)
    low, high = bench.submit("true", gpus=4), bench.submit("true", gpus=4, priority=5)
    first.cancel()

    assert started(low, high) == [high.ref.id, low.ref.id]


def test_four_time_sliced_jobs_hold_one_gpu(make_bench: MakeBench) -> None:
    """``shares`` of them at once; a fifth, and one that wants the GPU for itself, wait."""
    bench = make_bench("gpus = 1\nshares = 4")
    jobs = [bench.sleeper(gpus=Gpu(1, sharing="time-slice")) for _ in range(4)]
    bench.running(*jobs)
    fifth = bench.submit("echo $CUDA_VISIBLE_DEVICES", gpus=Gpu(1, sharing="time-slice"))
    whole = bench.submit("true", gpus=1)
    time.sleep(0.7)

    assert [s.state for s in bench.client.status([fifth, whole])] == [State.PENDING, State.PENDING]
    jobs[0].cancel()
    assert fifth.wait(timeout=60).succeeded
    assert bench.text(fifth) == ["0"]
    assert whole.status().state is State.PENDING
    bench.client.cancel(jobs)
    assert whole.wait(timeout=60).succeeded


def test_a_whole_gpu_is_not_shared(make_bench: MakeBench) -> None:
    """While one has it for itself, a time-sliced job waits."""
    bench = make_bench("gpus = 1")
    whole = bench.sleeper(gpus=1)
    bench.running(whole)
    slice_ = bench.submit("true", gpus=Gpu(1, sharing="time-slice"))
    time.sleep(0.5)

    assert slice_.status().state is State.PENDING
    whole.cancel()
    assert slice_.wait(timeout=60).succeeded


def test_shards_are_counted(make_bench: MakeBench) -> None:
    """Three and one fit on a GPU of four shards, three and two do not; five are refused with the number there is."""
    bench = make_bench("gpus = 1\nshares = 4")
    three = bench.sleeper(gpus=Gpu(3, sharing="shard"))
    bench.running(three)
    two = bench.submit("true", gpus=Gpu(2, sharing="shard"))
    one = bench.submit("true", gpus=Gpu(1, sharing="shard"))
    time.sleep(0.5)

    assert [s.state for s in bench.client.status([two, one])] == [State.PENDING, State.PENDING]  # one is behind two
    two.cancel()
    assert one.wait(timeout=60).succeeded
    with pytest.raises(PreflightError, match="shards") as caught:
        bench.submit("true", gpus=Gpu(5, sharing="shard"))
    assert "at most 4" in caught.value.next_step


def test_an_array_keeps_to_its_parallelism(bench: Bench) -> None:
    """Never more than two at once, all in the end."""
    # Each waits until it is not alone; the last one may be, and then all others have ended.
    script = (
        'at() { ls -d "$0.$1".* 2>/dev/null | wc -l; }; mkdir "$0.now.$GPUJOBS_ARRAY_INDEX"; '
        "until [ $(at now) -gt 1 ] || [ $(at over) = 7 ]; do sleep 0.05; done; at now; sleep 0.2; "
        'mkdir "$0.over.$GPUJOBS_ARRAY_INDEX"; rmdir "$0.now.$GPUJOBS_ARRAY_INDEX"'
    )
    job = bench.client.submit(["sh", "-c", script, str(bench.directory / "at")], array=8, parallelism=2, gpus=1)
    assert job.wait(timeout=60).succeeded

    counts = [int(line) for line in bench.text(job)]
    assert len(counts) == 8
    assert max(counts) == 2


def test_why_elements_wait_is_told(bench: Bench) -> None:
    """The parallelism is the reason of an element that waits for it."""
    job = bench.submit("exec sleep 600", array=3, parallelism=1)
    bench.running(job)

    status = bench.client.status(f"{job.ref}_2")
    assert (status.state, status.reason and status.reason.code) == (State.PENDING, Reason.ARRAY_LIMIT)


def test_cpus_are_counted(bench: Bench) -> None:
    """Two jobs that each want all processors take turns; more than there are is refused."""
    capacity = len(os.sched_getaffinity(0))
    first = bench.sleeper(cpus=capacity)
    bench.running(first)
    second = bench.submit("true", cpus=1)
    time.sleep(0.5)

    assert second.status().state is State.PENDING
    first.cancel()
    assert second.wait(timeout=60).succeeded
    with pytest.raises(PreflightError, match="cpus"):
        bench.submit("true", cpus=capacity + 1)


def test_why_a_job_waits_is_told_in_numbers(bench: Bench) -> None:
    """How many GPUs it needs, how many are free, who holds which, how many are ahead."""
    holder = bench.sleeper(gpus=3)
    bench.running(holder)
    bench.submit("true", gpus=2)
    job = bench.submit("true", gpus=2)

    explanation = job.explain()
    assert "It needs 2 GPUs; 1 of 4 are free." in str(explanation)
    assert explanation.details[0] == "1 waiting job comes before it."
    assert sum(str(holder.ref) in line for line in explanation.details) == 3


def test_capacity_counts_what_is_free(bench: Bench) -> None:
    """By kind, with what running jobs hold taken off."""
    bench.running(bench.sleeper(gpus=3))
    capacity = bench.client.capacity()

    assert (capacity.total, capacity.free) == (4, 1)


def test_more_gpus_than_there_are_is_refused(bench: Bench) -> None:
    """With what there is."""
    with pytest.raises(PreflightError, match="gpus: 5") as caught:
        bench.submit("true", gpus=5)
    assert "4 x simulated" in caught.value.next_step


def test_all_checks_pass(bench: Bench) -> None:
    """``check`` tries the state directory, locks and a job for real, and leaves nothing behind."""
    checks = bench.client.check("local")

    assert [c.title for c in checks if not c.ok] == []
    assert bench.client.list_jobs(finished=True) == []
