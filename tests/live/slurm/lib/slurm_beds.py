"""Start and stop the Slurm test bed: real daemons on 127.0.0.1, in ``bed/``."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

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

    @property
    def shared(self) -> Path:
        """A directory that all users and nodes of the cluster see."""
        return SLAB / self.name / "out"
