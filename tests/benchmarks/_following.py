"""How fast a long log is followed beside ``tail -f``: by the command line into a pipe, as bytes, and line by line."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from _measure import Figure, pairs, timed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from gpujobs import Client, Job

_LINE = "step 1234 loss 0.5678 and the rest of a usual line\n"
_PASSED_ON = 40_000_000
"""Lines, two gigabytes: starting Python must not decide."""
_ONE_BY_ONE = 500_000
_PAIRS = 5
_GB = 1e9


def following(client: Client, directory: Path, config: str) -> Iterator[Figure]:
    """The rows about logs of a client's default target; its files lie below ``directory``."""
    with _written(client, directory, _PASSED_ON) as (job, log):
        yield _command_line(job, log, directory, config)
        yield _pieces(job, log)
    with _written(client, directory, _ONE_BY_ONE) as (job, log):
        yield _lines(job, log)


@contextmanager
def _written(client: Client, directory: Path, lines: int) -> Generator[tuple[Job, Path]]:
    """A job that wrote so many lines, and its log; both are removed afterwards."""
    size = lines * len(_LINE)
    job = client.submit(["sh", "-c", 'yes "$0" | head -c "$1"', _LINE.rstrip(), str(size)])
    try:
        job.wait().raise_for_state()
        yield job, next(p for p in directory.rglob("*") if p.is_file() and p.stat().st_size == size)
    finally:
        job.delete()


def _command_line(job: Job, log: Path, directory: Path, config: str) -> Figure:
    (directory / "gpujobs.toml").write_text(config)
    env = os.environ | {"GPUJOBS_CONFIG": str(directory / "gpujobs.toml"), "GPUJOBS_STATE_DIR": str(directory)}
    gpujobs = Path(sys.executable).with_name("gpujobs")
    size = log.stat().st_size

    def through(follower: str) -> None:
        subprocess.run(["sh", "-c", f"{follower} | head -c {size} > /dev/null"], env=env, check=True)

    ours, bare = pairs(lambda: through(f"{gpujobs} logs -f {job.ref}"), lambda: through(_tail(log)), _PAIRS)
    began = statistics.median(timed(lambda: through(f"{gpujobs} logs -f --tail 0 {job.ref}")) for _ in range(_PAIRS))
    detail = f"{_rate(size, ours)}, of which starting takes {began:.0f} ms; tail -f {_rate(size, bare)}"
    return Figure("logs -f / tail -f", ours / bare, "x", 1.25, detail)


def _pieces(job: Job, log: Path) -> Figure:
    size = log.stat().st_size
    ours, bare = pairs(lambda: sum(1 for _ in job.log_bytes(follow=True)), lambda: _read_by_tail(log), _PAIRS)
    detail = f"{_rate(size, ours)}, read and dropped in this process; tail -f {_rate(size, bare)}"
    return Figure("log_bytes / tail -f", ours / bare, "x", None, detail)


def _lines(job: Job, log: Path) -> Figure:
    ours, bare = pairs(lambda: sum(1 for _ in job.logs(follow=True)), lambda: _read_by_tail(log), _PAIRS)
    detail = (
        f"{ours * 1000 / _ONE_BY_ONE:.1f} us for each of {_ONE_BY_ONE} LogLines, {ours:.0f} ms; tail -f {bare:.0f} ms"
    )
    return Figure("logs(), each line / tail -f", ours / bare, "x", 1.25, detail)


def _read_by_tail(log: Path) -> None:
    line = f"{_tail(log)} | head -c {log.stat().st_size} > /dev/null"
    subprocess.run(["sh", "-c", line], check=True)


def _tail(log: Path) -> str:
    return f"tail -n +1 -f {log}"


def _rate(size: int, milliseconds: float) -> str:
    return f"{size / _GB:.1f} GB in {milliseconds:.0f} ms"
