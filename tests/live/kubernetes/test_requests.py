"""How politely the API server is asked: counted by itself, and held in bounds however much is looked at."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, GpuJob

from .counted import memory, quiet, served

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.live.kubernetes.conftest import Bed

pytestmark = pytest.mark.kubernetes
ASLEEP = GpuJob(command=["true"], extra={"kubernetes": {"spec": {"suspend": True}}})
MANY, LOGS = 100, 20
WINDOW_S = 15
TALK = GpuJob(command=["sh", "-c", "trap exit TERM; while :; do echo line; sleep 1; done"], grace=1)


def beside(stack: ExitStack, act: Callable[[], object]) -> threading.Thread:
    """Do something in a thread, which the stack waits for."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    stack.callback(thread.join, 60)
    return thread


def test_one_submission_is_one_request(client: Client, bed: Bed) -> None:
    """Once the server's version is known."""
    client.submit(ASLEEP)
    before = quiet(bed)
    client.submit(ASLEEP)

    assert served(bed) - before == {"POST jobs": 1}


def test_one_look_at_many_jobs_is_one_list_of_each_kind(client: Client, bed: Bed) -> None:
    """Sent one by one, asked for at once."""
    client.submit(ASLEEP)
    before = quiet(bed)
    refs = [job.ref for job in client.submit_many([ASLEEP] * MANY)]
    sent = served(bed)
    assert sent - before == {"POST jobs": MANY}

    assert len(client.status(refs)) == MANY
    assert served(bed) - sent == {"LIST jobs": 1, "LIST pods": 1}


def test_many_jobs_waited_for_and_many_logs_followed_cost_nothing(client: Client, bed: Bed) -> None:
    """One watch per kind, whatever the number of jobs, and less than one request a second in all."""
    start = quiet(bed)
    jobs = client.submit_many([ASLEEP] * MANY)
    talking = client.submit(TALK.replace(array=LOGS))
    lines: Counter[int] = Counter()

    def follow(index: int) -> None:
        for _ in client.logs(f"{talking.ref}/{index}", follow=True):
            lines[index] += 1

    with ExitStack() as stack:
        beside(stack, lambda: client.wait([*jobs, talking]))
        for index in range(LOGS):
            beside(stack, partial(follow, index))
        stack.callback(client.cancel, [*jobs, talking])
        bed.until(lambda: len(lines) == LOGS, 200)

        before, heard = served(bed), lines.copy()
        time.sleep(WINDOW_S)
        after = served(bed)
        assert sum((after - before).values()) <= WINDOW_S, after - before
        opened = after - start
        assert (opened["WATCH jobs"], opened["WATCH pods"]) == (1, 1)
        assert LOGS <= opened["CONNECT pods/log"] < 2 * LOGS  # a kubelet may end one early
        assert all(lines[index] > heard[index] for index in range(LOGS))


@pytest.mark.long
@pytest.mark.timeout(1200, func_only=True)
def test_a_hundred_pods_are_followed_in_bounds(client: Client, bed: Bed) -> None:
    """Every line of each; a reader who is slow makes the logs wait, not the memory grow."""
    script = "seq 10000; sleep 1"
    job = client.submit(GpuJob(command=["sh", "-c", script], array=100, grace=1))
    before, threads = memory(), threading.active_count()
    lines, gaps, most, crowd, began = Counter[int](), list[str](), 0, 0, time.monotonic()
    for number, line in enumerate(job.logs(follow=True)):
        lines[line.replica] += 1
        gaps += [line.text] * line.gap
        if number % 10_000 == 0:
            time.sleep(0.1)
            most, crowd = max(most, memory()), max(crowd, threading.active_count())
    took = time.monotonic() - began

    sys.stdout.write(
        f"{sum(lines.values())} lines of 100 pods in {took:.0f} s, {crowd} threads, {most - before} MB more\n"
    )
    assert gaps == []
    assert lines == dict.fromkeys(range(100), 10000)
    assert most - before < 120
    assert crowd <= threads + 100 + 10  # a thread per log, the watches, and threads that are about to end
