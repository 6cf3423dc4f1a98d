"""Many clients at once, some of them and some supervisors killed: never two holders, never two runs, no wrong end."""

from __future__ import annotations

import collections
import multiprocessing
import os
import random
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gpujobs import GpuJob, Reason, State

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from tests.contract.local.conftest import Bench

# A child of its own keeps a lock on each GPU's file for as long as anything of the job lives.
HOLDER = """
import fcntl, os, subprocess, sys
out, seconds = sys.argv[1:]
for gpu in filter(None, os.environ["CUDA_VISIBLE_DEVICES"].split(",")):
    fd = os.open(f"{out}/gpu.{gpu}", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(fd, True)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        open(f"{out}/clash", "a").write(os.environ["GPUJOBS_REF"] + "\\n")
open(f"{out}/ran", "a").write(os.environ["GPUJOBS_REF"] + "\\n")
subprocess.run(["sleep", seconds], close_fds=False, start_new_session=True)
open(f"{out}/done", "a").write(os.environ["GPUJOBS_REF"] + "\\n")
"""


def spec(key: str, out: Path, longest: float) -> GpuJob:
    """The same job for the same key."""
    dice = random.Random(key)  # noqa: S311  # a test's dice
    seconds = f"{dice.random() * longest:.2f}"
    return GpuJob(
        command=[sys.executable, "-S", "-c", HOLDER, str(out), seconds], gpus=dice.choice([0, 1, 1, 1, 2, 4]), grace=1
    )


def submit_all(bench: Bench, keys: list[str], out: Path, longest: float) -> None:
    """One client's part."""
    for key in keys:
        bench.client.submit(spec(key, out, longest), idempotency_key=key)


def crowd(bench: Bench, each: int, longest: float) -> tuple[list[list[str]], list[BaseProcess]]:
    """Eight clients that submit at once."""
    keys = [[f"{client}-{i}" for i in range(each)] for client in range(8)]
    return keys, [start(bench, some, longest) for some in keys]


def start(bench: Bench, keys: list[str], longest: float) -> BaseProcess:
    """One client in a process of its own."""
    process = multiprocessing.get_context("fork").Process(
        target=submit_all, args=(bench, keys, bench.directory, longest)
    )
    process.start()
    return process


def lines(path: Path) -> list[str]:
    """What the jobs noted."""
    return path.read_text().split() if path.exists() else []


def test_a_flood_from_eight_clients(bench: Bench) -> None:
    """At no time do two jobs hold one GPU; all end well, each having run once."""
    flood(bench, each=6, longest=0.1)


def flood(bench: Bench, *, each: int, longest: float) -> None:
    """So many jobs per client."""
    keys, clients = crowd(bench, each, longest)
    for client in clients:
        client.join(300)
    jobs = bench.client.list_jobs(finished=True)
    ended = bench.client.wait([s.ref for s in jobs], timeout=600)

    assert len(jobs) == 8 * len(keys[0])
    assert {s.state for s in ended} == {State.SUCCEEDED}
    assert lines(bench.directory / "clash") == []
    assert sorted(lines(bench.directory / "ran")) == sorted(str(s.ref) for s in jobs)
    bench.until(lambda: bench.client.capacity().free == 4)


def test_a_flood_with_kills(bench: Bench) -> None:
    """Clients submit again with their keys; killed supervisors leave FAILED or LOST jobs, and no GPU is held twice."""
    flood_with_kills(bench, each=4, longest=0.6, seconds=4)


def flood_with_kills(bench: Bench, *, each: int, longest: float, seconds: float) -> None:
    """So many jobs per client, so many seconds of kills."""
    keys, clients = crowd(bench, each, longest)
    dice = random.Random(7)  # noqa: S311  # a test's dice
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(dice.random() * 0.2)
        if dice.random() < 0.4:
            i = dice.randrange(8)
            clients[i].kill()
            clients[i].join()
            clients[i] = start(bench, keys[i], longest)
        elif pids := bench.ours("_supervisor") + bench.ours("_keeper"):
            with suppress(ProcessLookupError):
                os.kill(dice.choice(pids), signal.SIGKILL)
    for client in clients:
        client.join(300)
    refs = [
        bench.client.submit(spec(key, bench.directory, longest), idempotency_key=key).ref
        for some in keys
        for key in some
    ]
    ended = bench.client.wait(refs, timeout=600)

    done, ran = lines(bench.directory / "done"), collections.Counter(lines(bench.directory / "ran"))
    assert len(set(refs)) == len(refs) == len(bench.client.list_jobs(finished=True))
    assert lines(bench.directory / "clash") == []
    assert max(ran.values()) == 1
    assert {str(s.ref) for s in ended if s.succeeded} <= set(done)
    bad = {s.reason.code for s in ended if not s.succeeded and s.reason}
    # A signal: before it becomes the command, the child of a supervisor looks like one and may be hit in its place.
    assert bad <= {Reason.NODE_FAIL, Reason.LOST, Reason.LAUNCH_FAILED, Reason.SIGNAL}
    bench.until(lambda: bench.client.capacity().free == 4)
