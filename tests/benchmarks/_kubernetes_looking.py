"""Statuses of many, what they take up, and how soon an end is known."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from _kubernetes_peers import PAGE, SELECTOR, listers
from _kubernetes_submitting import ASLEEP
from _measure import Figure, pairs, timed

from gpujobs_kubernetes._api import JOBS, PODS, path
from gpujobs_kubernetes._views import conditions
from gpujobs_kubernetes._watch import events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _kubernetes import Site

    from gpujobs_kubernetes._api import Table

_MB = 1_000_000
_MEMORY = """
import sys
from pathlib import Path
from gpujobs import Client, Config
config, state = sys.argv[1:]
def status(name):
    return next(int(l.split()[1]) // 1000 for l in Path("/proc/self/status").read_text().splitlines() if name in l)
with Client(Config.parse(config), state_dir=Path(state)) as client:
    refs = sys.stdin.read().split()
    client.status(refs[0])
    idle = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    found = client.status(refs)
    print(len(found), idle, status("VmRSS"), status("VmHWM"))
"""


def end_to_wait(site: Site, count: int) -> Iterator[Figure]:
    """From the moment that a bare watch shows the Job as complete to the return of ``wait``."""
    late: list[float] = []
    for _ in range(count):
        job = site.client.submit(["true"])
        seen: list[float] = []
        watching = threading.Thread(target=lambda: seen.append(_completed(site, job.ref.id)))  # noqa: B023  # joined
        watching.start()
        job.wait(timeout=120)
        returned = time.time()
        watching.join()
        late.append((returned - seen[0]) * 1000)
    yield Figure("end -> wait returns", statistics.median(late), "ms", 200, f"worst {max(late):.1f} ms of {count}")


def _completed(site: Site, ref_id: str) -> float:
    """When the watch of a Job shows that it has completed."""
    query = {"watch": "true", "fieldSelector": f"metadata.name={ref_id.rpartition('/')[2]}"}
    while True:  # a server that is busy may end a watch early
        with site.api.stream(path(JOBS, site.namespace), query, read_timeout=120) as response:
            for event in events(site.api.pieces(response)):
                if event["type"] in {"ADDED", "MODIFIED"} and "Complete" in conditions(event["object"]["status"]):
                    return time.time()


def looking(site: Site, jobs: int, count: int) -> Iterator[Figure]:
    """What it takes to know how many jobs stand: time and memory."""
    refs = _fill(site, jobs)
    yield memory_of_statuses(site, refs)
    yield from statuses(site, refs, count)


def statuses(site: Site, refs: list[str], count: int) -> Iterator[Figure]:
    """All statuses at once, beside the paged LISTs of Jobs and Pods, decoded, and those of other clients."""

    def bare() -> None:
        for collection in (JOBS, PODS):
            more: str | None = ""
            while more is not None:
                page = site.api.get(path(collection, site.namespace), {**_selected(), "continue": more})
                more = page["metadata"].get("continue")

    name = f"statuses of {len(refs)}"
    ours, theirs = pairs(lambda: site.client.status(refs), bare, count)
    yield Figure(f"{name} / LISTs", ours / theirs, "x", 1.3, f"{ours:.0f} ms, the paged LISTs {theirs:.0f} ms")
    for other, lists in listers(site):
        ours, theirs = timed(lambda: site.client.status(refs)), timed(lists)
        yield Figure(f"{name} / {other}", ours / theirs, "x", None, f"{ours:.0f} ms, {other} {theirs:.0f} ms, once")


def _selected() -> dict[str, str]:
    return {"labelSelector": ",".join(f"{k}={v}" for k, v in SELECTOR.items()), "limit": str(PAGE)}


def _fill(site: Site, jobs: int) -> list[str]:
    """Jobs that sleep, each with a pod that the scheduler holds back: as many objects as jobs that wait for a node."""
    there = [s.ref for s in site.client.list_jobs(finished=True, limit=jobs)]
    made = site.client.submit_many([ASLEEP] * max(0, jobs - len(there)))
    refs = [str(ref) for ref in (*there, *(job.ref for job in made))]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(partial(site.api.post, path(PODS, site.namespace)), map(_pod, refs)))
    return refs


def _pod(ref: str) -> Table:
    owner = ref.rpartition("/")[2]
    labels = {**SELECTOR, "gpujobs/id": owner, "batch.kubernetes.io/job-name": owner}
    container = {"name": "main", "image": "none", "command": ["true"]}
    spec = {"schedulingGates": [{"name": "gpujobs/benchmark"}], "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{owner}-0", "labels": labels}, "spec": spec}


def memory_of_statuses(site: Site, refs: list[str]) -> Figure:
    """What a process of its own takes up at most while it asks for all of them and keeps them, over being idle."""
    command = [sys.executable, "-c", _MEMORY, site.config, tempfile.mkdtemp()]
    done = subprocess.run(command, input="\n".join(refs), capture_output=True, text=True, check=True)
    count, idle, after, peak = (int(word) for word in done.stdout.split())
    detail = f"{idle} MB idle, {after} MB with {count} statuses kept, {peak} MB at most"
    return Figure("memory of the statuses", peak - idle, "MB", 60, detail)
