"""Measure gpujobs on Slurm beside the bare commands and beside others: the ratios that docs/design.md sets budgets for.

Needs a running cluster (``SLURM_CONF``), best one of its own. Jobs are held, but for the last figures::

    python tests/benchmarks/slurm.py [--pairs 200] [--jobs 10000]
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

from _following import following
from _measure import Figure, pairs, program, timed
from _slurm_ends import calls, delay, ends
from _slurm_peers import alike, one_each

from gpujobs import Client, Config, GpuJob, Ref
from gpujobs_slurm._queue import Queue
from gpujobs_slurm._rows import EXACT, squeue
from gpujobs_slurm.remote import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD = {"slurm": ["--hold"]}
SBATCH = ("sbatch", "--parsable", "--hold", "-o", "/dev/null", "--wrap", "true")
ARRAY = (*SBATCH[:3], "--array=0-999", *SBATCH[3:])
LISTING = ("squeue", "-h", "-r", "-t", "all", "--me", "-o", "%i|%T|%r|%N|%V|%S|%e|%j")
_MB = 1e6


def ratio(name: str, ours: float, bare: float, wanted: float | None) -> Figure:
    """Ours over the bare thing."""
    return Figure(name, ours / bare, "x", wanted, f"{ours:.1f} ms, bare {bare:.1f} ms")


def clear() -> None:
    """End all jobs: what is in the queue makes every question dearer."""
    program(("scancel", "--me"))()


def one(client: Client, count: int) -> Iterator[Figure]:
    """A single submission, with a made key and with a given one."""
    spec = GpuJob(command=["true"], extra=HELD)
    yield ratio("submit, made key", *pairs(lambda: client.submit(spec), program(SBATCH), count), 1.15)
    clear()
    numbers = itertools.count(time.time_ns())
    look = program(("squeue", "-h", "-n", "none"))

    def given() -> None:
        client.submit(spec, idempotency_key=f"bench-{next(numbers)}")

    def bare() -> None:
        look()
        program(SBATCH)()

    yield ratio("submit, given key", *pairs(given, bare, count), 1.15)
    clear()


def many(client: Client, count: int) -> Iterator[Figure]:
    """A thousand at once of the same resources beside one array; different ones beside a loop of sbatch."""
    same = [GpuJob(command=["echo", str(i)], env={"I": str(i)}, extra=HELD) for i in range(1000)]
    ours, bare = pairs(lambda: client.submit_many(same), program(ARRAY), count)
    yield ratio("1,000 alike, one array", ours, bare, 2)
    began = time.process_time()
    client.submit_many(same)
    spent = (time.process_time() - began) * 1000
    yield Figure("of that, our own CPU time", spent, "ms", None, f"{spent:.0f} us per job")
    clear()
    other = [GpuJob(command=["true"], memory=f"{i + 1}MiB", extra=HELD) for i in range(200)]
    took = timed(lambda: client.submit_many(other))
    yield ratio("200 unlike / loop of sbatch", took, timed(lambda: [program(SBATCH)() for _ in other]), 1 / 1.5)
    clear()


def statuses(client: Client, jobs: int, count: int) -> Iterator[Figure]:
    """Many jobs beside one bare squeue: its rows read, and every status built."""
    refs: list[Ref] = []
    while len(refs) < jobs:
        specs = [GpuJob(command=["true"], extra=HELD) for _ in range(min(1000, jobs - len(refs)))]
        refs += [job.ref for job in client.submit_many(specs)]
    words = squeue(sorted({ref.id.partition("_")[0] for ref in refs}))

    def decoded() -> None:
        queue = Queue()
        queue.add(processes.run(words, env=EXACT)["out"].decode())
        for ref in refs:
            queue.get(ref.id)

    yield ratio(f"rows of {jobs}, decoded", *pairs(decoded, program(LISTING), count), 1.3)
    yield ratio(f"statuses of {jobs}", *pairs(lambda: client.status(refs), program(LISTING), count), 2.2)
    tracemalloc.start()
    held = client.status(refs)
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    yield Figure("memory of them", most / _MB, "MB", 60, f"at most; {kept / _MB:.1f} MB for {len(held)} that are held")
    clear()


def figures(client: Client, directory: Path, config: str, options: argparse.Namespace) -> Iterator[Figure]:
    """All of them, or only those about logs."""
    if options.only_logs:
        yield from delay(client)
        yield from following(client, directory, config)
        return
    count: int = options.pairs
    yield from one(client, count)
    yield from many(client, max(count // 10, 3))  # each pair puts two thousand jobs into the queue
    yield from (ratio(*found, None) for found in one_each(directory, program(SBATCH), max(count // 10, 5)))
    clear()
    yield from (ratio(*found, None) for found in alike(directory, program(ARRAY)))
    clear()
    yield from statuses(client, options.jobs, count)
    yield from calls(client)
    clear()
    yield from ends(client, max(count // 20, 5))
    yield from delay(client)
    yield from following(client, directory, config)


def main() -> None:
    """Print the figures as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200, help="how often each ratio is measured")
    parser.add_argument("--jobs", type=int, default=10_000, help="how many jobs to ask the statuses of")
    parser.add_argument("--only-logs", action="store_true", help="nothing but the figures about logs")
    directory = Path(tempfile.mkdtemp(prefix="gpujobs-bench-", dir=Path.home()))
    config = f'default = "bench"\n[targets.bench]\nbackend = "slurm"\njob_dir = "{directory}/jobs"\n'
    options = parser.parse_args()
    version = subprocess.run(["sbatch", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    load = statistics.fmean(os.getloadavg())
    print(
        f"{version}, Python {platform.python_version()}, {os.cpu_count()} CPUs, load {load:.1f}, {options.pairs} pairs"
    )
    try:
        with Client(Config.parse(config), state_dir=directory / "state") as client:
            for figure in figures(client, directory, config, options):
                print(figure, flush=True)
    finally:
        subprocess.run(["scancel", "--me"], check=False)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
