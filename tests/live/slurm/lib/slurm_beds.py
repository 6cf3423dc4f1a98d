"""Start and stop the Slurm test bed: real daemons on 127.0.0.1, in ``bed/``."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BED = Path(__file__).parent.with_name("bed")
SLAB = Path(os.environ.get("SLAB") or Path.home() / ".cache/gpujobs-testbed/slurm")


def bed(script: str, *words: str, timeout: float = 900, check: bool = True) -> str:
    """Run a script of the bed; what it printed.

    Raises:
        RuntimeError: It failed; the message ends with its last words.
    """
    done = subprocess.run(
        ["bash", str(BED / script), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
        text=True,
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{script} {shlex.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


@dataclass
class Cluster:
    """One cluster of the bed, and the environment its clients need."""

    name: str
    base: int
    options: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict[str, str])

    def up(self) -> Cluster:
        """Start it; what is up already stays."""
        bed("cluster.sh", "up", "--name", self.name, "--base", str(self.base), *self.options)
        for line in bed("cluster.sh", "env", "--name", self.name).splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            self.environ[name] = value.replace("$PATH", os.environ["PATH"])
        return self

    def down(self) -> None:
        """Stop it, by pid."""
        bed("cluster.sh", "down", "--name", self.name, check=False)

    def fault(self, verb: str, what: str) -> None:
        """``freeze``, ``thaw``, ``crash`` or ``start`` one of its daemons."""
        bed("cluster.sh", verb, what, "--name", self.name)

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a Slurm command; what it printed."""
        done = subprocess.run(
            argv, env={**os.environ, **self.environ}, stdout=subprocess.PIPE, check=False, text=True, timeout=60
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{shlex.join(argv)} ended with {done.returncode}")
        return done.stdout

    def queue(self, *options: str, forgotten: bool = False) -> set[str]:
        """The ids of the jobs in the queue, or also of those that Slurm merely remembers.

        It is asked again where it does not answer, as on a busy machine or while it is frozen.
        """
        argv = ["squeue", "-h", "-o", "%A %F", *(["-t", "all"] if forgotten else []), *options]
        deadline = time.monotonic() + 120
        while True:
            try:
                return set(self.run(*argv).split())
            except (RuntimeError, subprocess.TimeoutExpired):
                if time.monotonic() > deadline:
                    raise

    def until_ended(self, *ids: str) -> None:
        """Wait until the queue holds none of these jobs; of no job at all, if none is named."""
        self._until(lambda: self.queue() & set(ids) if ids else self.queue())

    def until_forgotten(self, *ids: str) -> None:
        """Wait until Slurm has forgotten these jobs."""
        self._until(lambda: self.queue(forgotten=True) & set(ids))

    def until_saved(self) -> None:
        """Wait until the scheduler has written down what it knows now, as it does some seconds after a change.

        Of what is younger it knows nothing any more after a crash.
        """
        since, state = time.time(), SLAB / self.name / "state/job_state"
        change = self.run("sbatch", "--parsable", "--hold", "--output=/dev/null", "--wrap=true").strip()
        self.run("scancel", change)
        self._until(lambda: not state.exists() or state.stat().st_mtime <= since)

    def _until(self, left: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while still := left():
            assert time.monotonic() < deadline, f"still there: {still}"
            time.sleep(0.5)

    @property
    def shared(self) -> Path:
        """A directory that all users and nodes of the cluster see."""
        return SLAB / self.name / "out"
