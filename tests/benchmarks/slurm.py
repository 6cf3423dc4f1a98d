"""Measure gpujobs on Slurm beside the bare commands: the ratios that docs/design.md sets budgets for.

Needs a running cluster (``SLURM_CONF``), best one of its own. Jobs are held, so nothing runs but for the last figure::

    python tests/benchmarks/slurm.py [--pairs 200] [--jobs 10000]
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from _measure import Figure, pairs, program, timed

from gpujobs import Client, Config, GpuJob, Ref, WaitTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD = {"slurm": ["--hold"]}
SBATCH = ("sbatch", "--parsable", "--hold", "-o", "/dev/null", "--wrap", "true")
LISTING = ("squeue", "-h", "-r", "-t", "all", "--me", "-o", "%i|%T|%r|%N|%V|%S|%e|%j")
_COUNTS = re.compile(r"REQUEST_JOB\w*INFO\w*\s*\(\s*\d+\) count:(\d+)")


def ratio(name: str, ours: float, bare: float, wanted: float | None) -> Figure:
    """Ours over the bare thing."""
    return Figure(name, ours / bare, "x", wanted, f"{ours:.1f} ms, bare {bare:.1f} ms")


def one(client: Client, count: int) -> Iterator[Figure]:
    """A single submission, with a made key and with a given one."""
    spec = GpuJob(command=["true"], extra=HELD)
    yield ratio("submit, made key", *pairs(lambda: client.submit(spec), program(SBATCH), count), 1.15)
    numbers = itertools.count(time.time_ns())
    look = program(("squeue", "-h", "-n", "none"))

    def given() -> None:
        client.submit(spec, idempotency_key=f"bench-{next(numbers)}")

    def bare() -> None:
        look()
        program(SBATCH)()

    yield ratio("submit, given key", *pairs(given, bare, count), 1.15)


def many(client: Client, count: int) -> Iterator[Figure]:
    """A thousand at once of the same resources beside one array; different ones beside a loop of sbatch."""
    same = [GpuJob(command=["echo", str(i)], env={"I": str(i)}, extra=HELD) for i in range(1000)]
    array = program((*SBATCH[:3], "--array=0-999", *SBATCH[3:]))
    yield ratio("1,000 alike, one array", *pairs(lambda: client.submit_many(same), array, count), 2)
    other = [GpuJob(command=["true"], memory=f"{i + 1}MiB", extra=HELD) for i in range(200)]
    ours = timed(lambda: client.submit_many(other))
    yield ratio("200 unlike, loop of sbatch", ours, timed(lambda: [program(SBATCH)() for _ in other]), 1 / 1.5)


def statuses(client: Client, count: int) -> Iterator[Figure]:
    """All statuses of many jobs beside one bare squeue."""
    refs: list[Ref] = []
    while len(refs) < count:
        specs = [GpuJob(command=["true"], extra=HELD) for _ in range(min(1000, count - len(refs)))]
        refs += [job.ref for job in client.submit_many(specs)]
    yield ratio(f"statuses of {count}", *pairs(lambda: client.status(refs), program(LISTING), 10), 2.2)


def calls(client: Client) -> Iterator[Figure]:
    """Questions about jobs per second while a thousand are waited on, as the scheduler counts them."""
    jobs = client.submit_many([GpuJob(command=["true"], extra=HELD) for _ in range(1000)])
    before, start = asked(), time.monotonic()
    try:
        client.wait(jobs, timeout=20)
    except WaitTimeoutError:
        took = time.monotonic() - start
        yield Figure("questions, 1,000 waited on", (asked() - before) / took, "/s", 1, f"for {took:.0f} s")


def asked() -> int:
    """How many questions about jobs the scheduler has answered."""
    printed = subprocess.run(["sdiag"], stdout=subprocess.PIPE, check=True, text=True).stdout
    return sum(map(int, _COUNTS.findall(printed)))


def ends(client: Client, count: int) -> Iterator[Figure]:
    """From the end of a job, as it notes it itself, to the return of ``wait``."""
    late: list[float] = []
    for _ in range(count):
        job = client.submit(["sh", "-c", "sleep 1; date +%s.%N"])
        job.wait()
        returned = time.time()
        late.append((returned - float(next(iter(job.logs())).text)) * 1000)
    yield Figure("end of a job to wait()", statistics.median(late), "ms", 1500, f"{count} jobs")


def others(count: int) -> Iterator[Figure]:
    """A submission of submitit, where it is installed."""
    if importlib.util.find_spec("submitit") is None:
        return
    submitit = importlib.import_module("submitit")
    executor = submitit.SlurmExecutor(folder=tempfile.mkdtemp(dir=Path.home()))
    executor.update_parameters(additional_parameters={"hold": True}, time=1)
    yield ratio("submitit: one submit", *pairs(lambda: executor.submit(print), program(SBATCH), count), None)


def main() -> None:
    """Print the figures as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200, help="how often a single submission is measured")
    parser.add_argument("--jobs", type=int, default=10_000, help="how many jobs to ask the statuses of")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="gpujobs-bench-", dir=Path.home()))
    config = Config.parse(f'default = "bench"\n[targets.bench]\nbackend = "slurm"\njob_dir = "{directory}/jobs"\n')
    try:
        with Client(config, state_dir=directory / "state") as client:
            parts = [one(client, options.pairs), many(client, max(3, options.pairs // 20)), others(options.pairs // 4)]
            for figure in itertools.chain(*parts, calls(client), statuses(client, options.jobs)):
                print(figure, flush=True)
            program(("scancel", "--me"))()
            for figure in ends(client, 10):
                print(figure)
    finally:
        subprocess.run(["scancel", "--me"], check=False)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
