"""Waiting: one poller for all, also after a fork; an interrupt ends the waiting and nothing else."""

from __future__ import annotations

import gc
import itertools
import os
import threading
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gpujobs import AuthError, Client, Config, GpuJob, JobFailedError, State, Status, WaitTimeoutError
from gpujobs.testing import MemoryBackend, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpujobs import Job, Ref
    from gpujobs.backend import Clock

    from .conftest import Counting

JOB = GpuJob(command=["train"])


def test_waiting_for_nothing_returns_at_once(quick_client: Client) -> None:
    """No ref, no question, no status."""
    assert quick_client.wait([]) == []
    assert quick_client.wait([], until="first") == []
    assert quick_client.status([]) == []


def test_a_ref_given_twice_is_told_twice(quick_client: Client) -> None:
    """In the order in which it was given."""
    a, b = quick_client.submit(JOB), quick_client.submit(JOB)
    assert [s.ref for s in quick_client.wait([b, a, b])] == [b.ref, a.ref, b.ref]


def test_an_ended_job_costs_one_question(quick_client: Client, counting: Counting) -> None:
    """Nothing is slept for."""
    job = quick_client.submit(JOB)
    job.wait()
    before, counting.questions = counting.clock.time(), 0
    assert job.wait().succeeded
    assert (counting.questions, counting.clock.time()) == (1, before)


def test_progress_is_reported_every_round(quick_client: Client) -> None:
    """``on_status`` sees it run, and sees its end last."""
    seen: list[State] = []
    quick_client.wait(quick_client.submit(JOB), on_status=lambda statuses: seen.append(statuses[0].state))
    assert seen[0] is State.RUNNING
    assert seen[-1] is State.SUCCEEDED


def test_a_hundred_threads_ask_as_one(quick_client: Client, counting: Counting) -> None:
    """All wait for the same job: the rounds are shared, not multiplied."""
    counting.outcome = lambda _: Outcome(seconds=3600)
    job = quick_client.submit(JOB)
    counting.questions = 0
    ended: list[Status] = []
    threads = [threading.Thread(target=lambda: ended.append(job.wait())) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [s.succeeded for s in ended] == [True] * 100
    alone = 3600 / 30 + 60
    assert counting.questions <= alone + 100  # each newcomer may cost one look of its own


def test_an_error_of_the_system_reaches_every_waiter(tmp_path: Path) -> None:
    """Not only the thread that happened to ask."""

    class Locked(MemoryBackend):
        def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
            raise AuthError(f"The token has expired, {len(refs)} was asked for.")

    backend = Locked.create()
    client = Client(Config(), backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path)
    job = client.submit(JOB)
    caught: list[str] = []

    def wait() -> None:
        try:
            job.wait()
        except AuthError as e:
            caught.append(e.message)

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert caught == ["The token has expired, 1 was asked for."] * 5


class Timed(MemoryBackend):
    """Notes when it is asked."""

    def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
        """Note the time, then tell."""
        self.__dict__.setdefault("times", []).append(self.clock.monotonic())
        return super().statuses(refs)


class Watched(Timed):
    """Would notice a change, but sees none."""

    def wait_change(self, refs: Sequence[Ref], timeout: float, /) -> bool:
        """Let the time pass."""
        del refs
        self.clock.sleep(timeout)
        return False


@pytest.mark.parametrize(("backend_class", "first"), [(Timed, 1.0), (Watched, 2.0)])
def test_rounds_come_less_often_the_longer_nothing_changes(
    tmp_path: Path, backend_class: type[Timed], first: float
) -> None:
    """A backend that notices changes by itself is asked half as often from the start."""
    backend = backend_class.create(outcome=lambda _: Outcome(seconds=500))
    client = Client(Config(), backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path)
    client.submit(JOB).wait()

    times = backend.__dict__["times"]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps[0] == pytest.approx(first, abs=0.01)
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(30, abs=0.01)


class Held(MemoryBackend):
    """A memory backend that can be made to hang in the middle of a round."""

    hang: threading.Event
    hanging: threading.Event
    parent: int

    def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
        """Hang in the parent until it is let go."""
        if os.getpid() == self.parent:
            self.hanging.set()
            self.hang.wait(60)
        return super().statuses(refs)


def test_a_fork_in_the_middle_of_a_round_waits_on_its_own(tmp_path: Path) -> None:
    """The child neither waits for the parent's round nor for a lock that a thread of the parent holds."""
    backend = Held.create(outcome=lambda _: Outcome(seconds=5))
    assert isinstance(backend, Held)
    backend.hang, backend.hanging, backend.parent = threading.Event(), threading.Event(), os.getpid()
    client = Client(Config(), backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path)
    job = client.submit(JOB)
    leader = threading.Thread(target=job.wait)
    leader.start()
    assert backend.hanging.wait(60)

    with warnings.catch_warnings(), client._session._lock:
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what is tried here
        pid = os.fork()
    if pid == 0:
        os._exit(0 if job.wait(timeout=60).succeeded else 1)
    _, code = os.waitpid(pid, 0)
    backend.hang.set()
    leader.join(timeout=60)

    assert os.waitstatus_to_exitcode(code) == 0
    assert not leader.is_alive()


class Interrupting:
    """A clock at which somebody presses Ctrl-C on the third sleep."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self.sleeps = clock, 0
        self.time, self.monotonic = clock.time, clock.monotonic

    def sleep(self, seconds: float, /) -> None:
        """Sleep, or be interrupted."""
        self.sleeps += 1
        if self.sleeps == 3:
            raise KeyboardInterrupt
        self._clock.sleep(seconds)


@pytest.mark.parametrize("verb", ["wait", "logs"])
def test_an_interrupt_never_cancels(counting: Counting, tmp_path: Path, verb: str) -> None:
    """Nor does leaving the client, nor forgetting the job; waiting again works."""
    backend = counting
    clock = Interrupting(backend.clock)
    backend.clock = clock
    client = Client(Config(), backends={"memory": backend}, clock=clock, state_dir=tmp_path)
    with client:
        job = client.submit(JOB)
        with pytest.raises(KeyboardInterrupt):
            job.wait() if verb == "wait" else list(job.logs(follow=True))
    ref = str(job.ref)
    del job
    gc.collect()

    again = client.attach(ref)
    assert again.status().state is State.RUNNING
    assert again.wait().succeeded


def test_a_bad_end_is_only_raised_on_request(quick_client: Client, counting: Counting) -> None:
    """``wait`` tells; ``raise_for_state`` raises, with the status."""
    counting.outcome = lambda _: Outcome(exit_code=3)
    job = quick_client.submit(JOB)
    status = job.wait()
    assert (status.state, status.exit_code) == (State.FAILED, 3)
    with pytest.raises(JobFailedError, match="exit code 3") as caught:
        status.raise_for_state()
    assert caught.value.status is status


def test_a_wait_over_two_targets_starves_neither(tmp_path: Path) -> None:
    """Both are asked in turn; the first end of either counts."""
    slow = MemoryBackend.create(target="slow", outcome=lambda _: Outcome(seconds=10_000))
    quick = MemoryBackend.create(target="quick", clock=slow.clock, outcome=lambda _: Outcome(seconds=20))
    client = Client(Config(), backends={"slow": slow, "quick": quick}, clock=slow.clock, state_dir=tmp_path)
    jobs: list[Job] = [client.submit(JOB, target="slow"), client.submit(JOB, target="quick")]

    assert [s.final for s in client.wait(jobs, until="first")] == [False, True]
    with pytest.raises(WaitTimeoutError, match="memory://slow/1 is still RUNNING"):
        client.wait(jobs, timeout=60)
    assert [s.final for s in client.wait(jobs)] == [True, True]


def test_a_time_to_wait_is_written_as_any_time(tmp_path: Path) -> None:
    """Seconds, a text with a unit and a timedelta mean the same; what is no time is refused."""
    backend = MemoryBackend.create(outcome=lambda _: Outcome(seconds=1000))
    client = Client(Config(), backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path)
    job = client.submit(JOB)

    for timeout in (5, "5s", timedelta(seconds=5), 0):
        with pytest.raises(WaitTimeoutError):
            job.wait(timeout=timeout)
    for wrong in (float("nan"), "5", "soon", True):
        with pytest.raises(ValueError, match="not a time"):
            job.wait(timeout=wrong)
    assert job.wait(timeout="1h").final
