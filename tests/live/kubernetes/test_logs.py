"""Logs that survive what happens to them; what the system dropped is a marked gap."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Client, GpuJob

from .conftest import UNTIL

if TYPE_CHECKING:
    from gpujobs import Job, LogLine
    from tests.live.kubernetes.conftest import Bed, Proxy

pytestmark = pytest.mark.kubernetes
COUNT = "i=0; while [ $i -lt {n} ]; do echo line $i; i=$((i+1)); {pause} done"


def count(n: int, pause: str = "", **fields: Any) -> GpuJob:
    """A job that counts."""
    return GpuJob.model_validate({"command": ["sh", "-c", COUNT.format(n=n, pause=pause)], "grace": 1, **fields})


def follow(job: Job) -> tuple[threading.Thread, list[LogLine]]:
    """Follow a log beside the test."""
    lines: list[LogLine] = []
    thread = threading.Thread(target=lambda: lines.extend(job.logs(follow=True)), daemon=True)
    thread.start()
    return thread, lines


def expected(n: int) -> list[str]:
    """What the job writes."""
    return [f"line {i}" for i in range(n)]


def test_a_connection_that_is_cut_costs_no_line_and_doubles_none(proxied: Client, proxy: Proxy) -> None:
    """Cut in the middle of a line, several times, within the same second: each line once, in order."""
    proxy.fail(*(f"cut GET .*/log{'.*' * i} 1" for i in range(3)))
    job = proxied.submit(count(300, "[ $((i % 20)) = 0 ] && sleep 0.1;"))
    lines = list(job.logs(follow=True))

    assert [line.text for line in lines] == expected(300)
    assert not any(line.gap for line in lines)
    assert proxy.log.read_text().count("/log") > 3


def test_following_survives_a_restart_of_the_api_server(client: Client, bed: Bed) -> None:
    """The follower and the waiter go on where they were."""
    job = client.submit(count(60, "sleep 0.25;"))
    thread, lines = follow(job)
    bed.until(lambda: len(lines) > 5)
    bed.ctl("kill", "kube-apiserver")
    time.sleep(1)
    bed.ctl("start", "kube-apiserver")

    assert job.wait(timeout=120).succeeded
    thread.join(120)
    assert [line.text for line in lines] == expected(60)


def test_what_rotation_took_is_a_marked_gap(bed: Bed, namespace: str, proxied: Client, proxy: Proxy) -> None:
    """A follower that was away while the log was rotated says so, once, and goes on."""
    settings = bed.run / "node2/etc/kubelet.yaml"
    before = settings.read_text()
    settings.write_text(before.replace("containerLogMaxSize: 10Mi", "containerLogMaxSize: 20Ki"))
    bed.ctl("restart", "node2/kubelet")
    try:
        counting = COUNT.format(n=6000, pause="")
        script = f"echo first; {UNTIL.format('/go')}; {counting}; {UNTIL.format('/end')}; echo last"
        job = proxied.submit(
            GpuJob(command=["sh", "-c", script], node_selector={"kubernetes.io/hostname": "node2"}, grace=1)
        )
        thread, lines = follow(job)
        bed.until(lambda: [line.text for line in lines] == ["first"])
        proxy.fail("status-503 GET .*/log")
        # It cuts what is open: the next reading starts after the rotation.
        bed.ctl("restart", "node2/kubelet")
        bed.let_go(job)
        listing = ("-n", "node2", "sh", "-c", f"ls /var/log/pods/{namespace}_*/main")
        bed.until(lambda: len(bed.script("in.sh", *listing).split()) > 1)
        read = proxy.passed("/log")
        proxy.fail()
        bed.until(lambda: proxy.passed("/log") > read)
        bed.let_go(job, "/end")
        thread.join(120)
    finally:
        settings.write_text(before)
        bed.ctl("restart", "node2/kubelet")

    gaps = [line for line in lines if line.gap]
    assert len(gaps) == 1
    assert "rotated" in gaps[0].text
    assert lines[-1].text == "last"


def test_a_pod_that_is_gone_leaves_a_gap(client: Client, bed: Bed, namespace: str) -> None:
    """A retry keeps the log of the attempt before; a pod that somebody deleted is told."""
    job = client.submit(
        GpuJob(command=["sh", "-c", "echo try $GPUJOBS_ATTEMPT; exit $((1 - GPUJOBS_ATTEMPT))"], retries=1, grace=1)
    )
    assert job.wait(timeout=60).succeeded
    assert [(line.text, line.attempt) for line in job.logs()] == [("try 0", 0), ("try 1", 1)]
    assert [line.text for line in job.logs(attempt=1)] == ["try 1"]

    first = bed.kubectl(
        "-n",
        namespace,
        "get",
        "pods",
        "--sort-by=.metadata.creationTimestamp",
        "-o",
        "jsonpath={.items[0].metadata.name}",
    )
    bed.kubectl("-n", namespace, "delete", "pod", first)
    lines = list(job.logs())
    assert [(line.gap, line.attempt) for line in lines] == [(True, 0), (False, 1)]


def test_many_pods_are_followed_at_once(client: Client) -> None:
    """Twelve pods, each line once, each under its own number."""
    job = client.submit(count(40, array=12, parallelism=12))
    lines = list(job.logs(follow=True))

    assert not any(line.gap for line in lines)
    for replica in range(12):
        assert [line.text for line in lines if line.replica == replica] == expected(40)
    assert all(line.time is not None for line in lines)
    assert [line.text for line in job.logs(replica=3, tail=2)] == ["line 38", "line 39"]


def test_tail_and_since_choose_where_to_begin(client: Client) -> None:
    """Following with a tail gives the last lines, then what comes; since leaves out what is older."""
    job = client.submit(count(30, "sleep 0.2;"))
    seen = iter(job.logs(follow=True))
    fifth = [next(seen) for _ in range(6)][-1]
    assert fifth.time is not None

    tail = [line.text for line in job.logs(follow=True, tail=2)]
    assert tail[-1] == "line 29"
    assert tail == expected(30)[-len(tail) :]
    assert len(tail) < 28
    assert [line.text for line in job.logs(since=fifth.time)] == expected(30)[5:]
