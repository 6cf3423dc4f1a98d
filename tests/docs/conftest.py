"""A place for documentation to run in: a target ``lab`` that is this machine with pretended GPUs, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
default = "lab"
[targets.lab]
backend = "local"
gpus = 2
gpu_type = "h100"
[targets.local]
backend = "local"
gpus = 2
"""


class Place:
    """An empty directory with a configuration and a state directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "gpujobs.toml").write_text(CONFIG)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GPUJOBS_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
        self.env = {**kept, "PATH": path, "GPUJOBS_STATE_DIR": str(directory / "state"), "NO_COLOR": "1"}

    def run(self, argv: Sequence[str | Path], *, timeout: float = 240) -> str:
        """What a program wrote to stdout; it fails the test, with all that it wrote, unless it exits with 0."""
        done = subprocess.run(
            argv, cwd=self.directory, env=self.env, capture_output=True, text=True, timeout=timeout, check=False
        )
        shown = f"$ {' '.join(map(str, argv))}\n{done.stdout}\n{done.stderr}\nexit code {done.returncode}"
        assert done.returncode == 0, shown
        return done.stdout

    def python(self, *argv: str | Path) -> str:
        """What a Python program wrote; warnings are errors."""
        return self.run([sys.executable, "-W", "error", *argv])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """One for each test."""
    return Place(tmp_path)
