"""The figures of the local backend: submission, wait, follow, listing; and the executors of others beside it."""

from __future__ import annotations

import importlib
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _following import following
from _measure import Figure, pairs, timed

from gpujobs import Client, Config, GpuJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRUE = GpuJob(command=["true"])


def submission(client: Client, count: int) -> Figure:
    """A submission beside the start of a process."""
    ours, bare = pairs(
        lambda: client.submit(TRUE), lambda: subprocess.Popen(["true"], start_new_session=True).wait(), count
    )
    return Figure("submission", ours - bare, "ms", 50, f"{ours:.1f} ms, a bare process {bare:.1f} ms")


def wait(client: Client, count: int) -> Figure:
    """From the end of a job, as it notes it itself, to the return of ``wait``."""
    late: list[float] = []
    for _ in range(count):
        job = client.submit(GpuJob(command=["sh", "-c", "sleep 0.3; date +%s.%N"]))
        job.wait()
        returned = time.time()
        (line,) = job.logs()
        late.append((returned - float(line.text)) * 1000)
    return Figure("end -> wait returns", statistics.median(late), "ms", 100, f"worst {max(late):.1f} ms of {count}")


def follow(client: Client, count: int) -> Figure:
    """From the writing of a line to its arrival."""
    job = client.submit(GpuJob(command=["sh", "-c", f"for i in $(seq {count}); do date +%s.%N; sleep 0.1; done"]))
    late = [(time.time() - float(line.text)) * 1000 for line in job.logs(follow=True)]
    return Figure("line -> follower", statistics.median(late), "ms", 200, f"worst {max(late):.1f} ms of {len(late)}")


def listing(client: Client, count: int) -> Figure:
    """A list of many that have ended."""
    client.wait(client.submit_many([TRUE] * count))
    took = [timed(lambda: client.list_jobs(finished=True, limit=count)) for _ in range(9)]
    return Figure(f"list of {count}", statistics.median(took), "ms", 500 * count / 1000, f"worst {max(took):.1f} ms")


def round_trip(client: Client, count: int) -> Iterator[Figure]:
    """From submission to the known end of a job that does nothing, beside the local executors of others."""
    for name, other in _others():
        ours, theirs = pairs(lambda: client.submit(TRUE).wait(), other, count)
        detail = f"{ours:.0f} ms, {name} {theirs:.0f} ms"
        yield Figure(f"round trip / {name}", ours / theirs, "x", None, detail)


def _others() -> Iterator[tuple[str, Callable[[], object]]]:
    try:
        submitit: Any = importlib.import_module("submitit")
        folder = tempfile.mkdtemp(prefix="benchmark-submitit-")
        executor: Any = submitit.LocalExecutor(folder=folder)
        yield "submitit", lambda: executor.submit(abs, 1).result()
    except ImportError:
        print("submitit is not installed: pip install submitit")
    try:
        psij: Any = importlib.import_module("psij")
        psij_local: Any = psij.JobExecutor.get_instance("local")

        def run() -> None:
            job: Any = psij.Job(psij.JobSpec(executable="/bin/true"))
            psij_local.submit(job)
            job.wait()

        yield "psij", run
    except ImportError:
        print("psij is not installed: pip install psij-python")


def figures(count: int) -> Iterator[Figure]:
    """All of them, in a state directory of their own."""
    config = '[targets.local]\nbackend = "local"\ngpus = 4\n'
    with ExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True)))
        client = stack.enter_context(Client(Config.parse(config), state_dir=state))
        yield submission(client, count)
        yield wait(client, max(count // 5, 5))
        yield follow(client, count)
        yield from following(client, state, config)
        yield listing(client, count * 5)
        yield from round_trip(client, max(count // 10, 5))
