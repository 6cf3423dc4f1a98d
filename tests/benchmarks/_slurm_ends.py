"""What waiting and following cost: delays, and the questions that the scheduler counts itself."""

from __future__ import annotations

import re
import statistics
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from _measure import Figure

from gpujobs import GpuJob, Job, WaitTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs import Client

_COUNT = re.compile(r"^\s*((?:REQUEST|MESSAGE)_\w+)\s*\(\s*\d+\)\s*count:(\d+)", re.MULTILINE)
_NODES = re.compile(r"NODE_REGISTRATION|COMPLETE|EPILOG|PROLOG|STEP|PING|STATS_INFO")
"""What nodes say and what sdiag itself asks."""
_SECONDS = 30
_FOLLOWED = 50


def asked() -> dict[str, int]:
    """How many questions of clients the scheduler has answered, by kind."""
    printed = subprocess.run(["sdiag"], stdout=subprocess.PIPE, check=True, text=True).stdout
    by_type = printed.partition("by message type")[2].partition("by user")[0]
    return {name: int(count) for name, count in _COUNT.findall(by_type) if not _NODES.search(name)}


def calls(client: Client) -> Iterator[Figure]:
    """Questions per second while a thousand jobs are waited on and fifty logs are followed."""
    jobs = client.submit_many([GpuJob(command=["true"], extra={"slurm": ["--hold"]}) for _ in range(1000)])
    loop = "while :; do date; sleep 1; done"
    talking = client.submit_many([GpuJob(command=["sh", "-c", loop], memory="50MiB") for _ in range(_FOLLOWED)])
    done = threading.Event()
    heard = [0] * _FOLLOWED

    def follow(number: int, job: Job) -> None:
        for _ in client.logs(job, follow=True, stop=done.is_set):
            heard[number] += 1

    threads = [threading.Thread(target=follow, args=pair) for pair in enumerate(talking)]
    for thread in threads:
        thread.start()
    before, start = asked(), time.monotonic()
    try:
        client.wait(jobs, timeout=_SECONDS)
    except WaitTimeoutError:
        took, after = time.monotonic() - start, asked()
        kinds = {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}
        detail = f"in {took:.0f} s: {kinds}; {sum(n > 0 for n in heard)} logs spoke, {sum(heard)} lines"
        yield Figure("questions per second", sum(kinds.values()) / took, "/s", 1, detail)
    done.set()
    for thread in threads:
        thread.join()
    client.cancel(talking)


def ends(client: Client, count: int) -> Iterator[Figure]:
    """From the end of a job, as it notes it itself, to the return of ``wait``."""
    late: list[float] = []
    for _ in range(count):
        job = client.submit(["sh", "-c", "sleep 1; date +%s.%N"])
        job.wait()
        returned = time.time()
        late.append((returned - float(next(iter(job.logs())).text)) * 1000)
    yield Figure("end of a job to wait()", statistics.median(late), "ms", 1500, f"{count} jobs, worst {max(late):.0f}")


def delay(client: Client) -> Iterator[Figure]:
    """From the writing of a line to its arrival."""
    job = client.submit(["sh", "-c", "for i in $(seq 100); do date +%s.%N; sleep 0.05; done"])
    late = [(time.time() - float(line.text)) * 1000 for line in job.logs(follow=True)]
    yield Figure("line to follower", statistics.median(late), "ms", 200, f"{len(late)} lines, worst {max(late):.0f}")
