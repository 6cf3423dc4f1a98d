"""gpujobs on Slurm beside the bare commands: the ratios that docs/design.md sets budgets for.

Needs a running cluster (``SLURM_CONF``), best one of its own: jobs are held, so nothing runs but for the last rows.

    python tests/benchmarks/slurm.py [--pairs 200] [--jobs 10000]
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gpujobs import Client, Config, GpuJob, Ref

if TYPE_CHECKING:
    from collections.abc import Callable

HELD = {"slurm": ["--hold"]}
SBATCH = ["sbatch", "--parsable", "--hold", "-o", "/dev/null", "--wrap", "true"]


def sh(*argv: str) -> str:
    """The output of a command."""
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True).stdout


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def pairs(count: int, ours: Callable[[], object], bare: Callable[[], object]) -> tuple[float, float]:
    """Medians of both, run in turn."""
    both = [(seconds(ours), seconds(bare)) for _ in range(count)]
    return statistics.median(o for o, _ in both), statistics.median(b for _, b in both)


def row(what: str, ours: float, bare: float, budget: str) -> None:
    """Print one line of the table."""
    print(f"| {what} | {ours * 1e3:.1f} ms | {bare * 1e3:.1f} ms | {ours / bare:.2f} | {budget} |", flush=True)


def one(client: Client, count: int) -> None:
    """A single submission, with a made key and with a given one."""
    spec = GpuJob(command=["true"], extra=HELD)
    for warm in (lambda: client.submit(spec), lambda: sh(*SBATCH)):
        warm()
    ours, bare = pairs(count, lambda: client.submit(spec), lambda: sh(*SBATCH))
    row("one submit, made key", ours, bare, "1.15")
    keys = iter(range(10**9))
    given = lambda: client.submit(spec, idempotency_key=f"bench-{time.time()}-{next(keys)}")  # noqa: E731
    both = lambda: (sh("squeue", "-h", "-n", "none"), sh(*SBATCH))  # noqa: E731
    row("one submit, given key (bare: squeue + sbatch)", *pairs(count, given, both), "1.15")


def many(client: Client, count: int) -> None:
    """A thousand at once: of the same resources, and of different ones."""
    same = [GpuJob(command=["echo", str(i)], env={"I": str(i)}, extra=HELD) for i in range(1000)]
    array = [*SBATCH[:3], "--array=0-999", *SBATCH[3:]]
    ours, bare = pairs(count, lambda: client.submit_many(same), lambda: sh(*array))
    row("1,000 of the same resources (bare: one array)", ours, bare, "2")
    other = [GpuJob(command=["true"], memory=f"{i + 1}MiB", extra=HELD) for i in range(200)]
    ours, bare = seconds(lambda: client.submit_many(other)), seconds(lambda: [sh(*SBATCH) for _ in other])
    row("200 of different resources (bare: a loop of sbatch)", ours, bare, "0.67")


def statuses(client: Client, count: int) -> None:
    """All statuses of many jobs, beside one bare squeue."""
    refs: list[Ref] = []
    while len(refs) < count:
        specs = [GpuJob(command=["true"], extra=HELD) for _ in range(min(1000, count - len(refs)))]
        refs += [job.ref for job in client.submit_many(specs)]
    listing = ("squeue", "-h", "-r", "-t", "all", "--me", "-o", "%i|%T|%r|%N|%V|%S|%e|%j")
    ours, bare = pairs(10, lambda: client.status(refs), lambda: sh(*listing))
    row(f"statuses of {len(refs)} jobs", ours, bare, "2.2")


def ends(client: Client, count: int) -> None:
    """From the end of a job to the return of ``wait``."""
    lags: list[float] = []
    for _ in range(count):
        job = client.submit(["sh", "-c", "sleep 1; date +%s.%N"])
        job.wait()
        now = time.time()
        lags.append(now - float(next(iter(job.logs())).text))
    print(f"| end of a job to wait() | {statistics.median(lags) * 1e3:.0f} ms | | | 1500 ms |", flush=True)


def calls(client: Client) -> None:
    """RPCs per second while many jobs are waited on, as the scheduler counts them."""
    jobs = client.submit_many([GpuJob(command=["true"], extra=HELD) for _ in range(1000)])
    before, start = _rpcs(), time.monotonic()
    try:
        client.wait(jobs, timeout=20)
    except TimeoutError:
        took = time.monotonic() - start
        print(f"| RPCs per second while 1,000 jobs are waited on | {(_rpcs() - before) / took:.2f} | | | 1 |")


def _rpcs() -> int:
    """How many questions about jobs the scheduler has answered."""
    found = re.findall(r"REQUEST_(?:JOB_INFO|JOB_USER_INFO|JOB_STATE)\w*\s*\(\s*\d+\) count:(\d+)", sh("sdiag"))
    return sum(map(int, found))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=10_000)
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="gpujobs-bench-", dir=Path.home()))
    config = Config.parse(f'default = "bench"\n[targets.bench]\nbackend = "slurm"\njob_dir = "{directory}/jobs"\n')
    print("| what | gpujobs | bare | ratio | budget |\n|---|---|---|---|---|")
    try:
        with Client(config, state_dir=directory / "state") as client:
            one(client, options.pairs)
            many(client, max(1, options.pairs // 20))
            calls(client)
            statuses(client, options.jobs)
            sh("scancel", "--me")
            ends(client, 10)
    finally:
        subprocess.run(["scancel", "--me"], check=False)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
