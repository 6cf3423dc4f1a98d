"""Following a log, beside ``kubectl logs -f`` and other clients."""

from __future__ import annotations

import statistics
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

from _kubernetes_peers import readers
from _measure import Figure, pairs, timed

from gpujobs import GpuJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _kubernetes import Site

    from gpujobs import Job

LINES = 60_000
"""Of 100 characters: with what the kubelet adds they stay below the 10 MiB at which it rotates."""
_WRITE = f"print('\\n'.join('%099d' % i for i in range({LINES})), flush=True); import time; time.sleep(3000)"
_TICK = "import time\nfor _ in range({}): print(time.time(), flush=True); time.sleep(0.1)"


def logs(site: Site, count: int) -> Iterator[Figure]:
    """How soon a line is there, and how fast many."""
    yield line_delay(site, 100)
    yield from following(site, count)


def following(site: Site, count: int) -> Iterator[Figure]:
    """A long log from its beginning to the last line written, in turns with kubectl."""
    job = site.client.submit(GpuJob(command=["python3", "-c", _WRITE], grace=1))
    pod = _written(job)
    last = f"{LINES - 1:099d}"

    def ours() -> None:
        next(line for line in job.logs(follow=True) if line.text == last)

    def kubectl() -> None:
        with subprocess.Popen([*site.kubectl, "logs", "-f", pod], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            next(line for line in process.stdout if line.startswith(last))
            process.kill()

    mine, theirs = pairs(ours, kubectl, count)
    detail = f"{LINES} lines of 100 characters: {mine:.0f} ms, kubectl {theirs:.0f} ms"
    yield Figure("follow / kubectl logs -f", mine / theirs, "x", 1 / 0.8, detail)
    for name, read in readers(site, pod):
        mine = timed(ours)
        theirs = timed(partial(_until, last, read))
        yield Figure(f"follow / {name}", mine / theirs, "x", None, f"{mine:.0f} ms, {name} {theirs:.0f} ms, once")
    job.cancel()


def _until(last: str, read: Callable[[], Iterator[object]]) -> None:
    next(line for line in read() if last in str(line))


def _written(job: Job) -> str:
    """The name of its pod, once all is written."""
    while not any(line.text == f"{LINES - 1:099d}" for line in job.logs(tail=1)):
        time.sleep(0.5)
    return job.replicas()[0].name


def line_delay(site: Site, count: int) -> Figure:
    """From the writing of a line to its arrival at a follower."""
    job = site.client.submit(GpuJob(command=["python3", "-c", _TICK.format(count)]))
    late = [(time.time() - float(line.text)) * 1000 for line in job.logs(follow=True)]
    steady = late[count // 10 :]  # the first were written before the follower was there
    return Figure("line -> follower", statistics.median(steady), "ms", 200, f"worst {max(steady):.1f} ms of {count}")
