"""For a real NVIDIA GPU: `pytest tests/live/gpu`. No tier of its own, since most machines have none.

On this machine (`test_local.py`), or in a cluster (`test_kubernetes.py`, which says what it has to be told).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def gpus() -> list[str]:
    """The lines of ``nvidia-smi -L``; without any the tests on this machine's own GPUs cannot run."""
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        listing = ""
    found = [line for line in listing.splitlines() if line.startswith("GPU ")]
    if not found:
        pytest.skip("no NVIDIA GPU on this machine")
    return found


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of the real GPUs, with locks of its own."""
    config = Config.parse(f'[targets.local]\nbackend = "local"\nlock_dir = "{tmp_path / "locks"}"\n')
    with Client(config, state_dir=tmp_path / "state") as client:
        yield client


@pytest.fixture
def compute(tmp_path: Path) -> list[str]:
    """A command that takes memory of the first GPU it sees, says so, and holds it until it is ended.

    Through the CUDA driver itself, so that nothing but the driver is needed.
    """
    program = tmp_path / "compute.py"
    program.write_text((Path(__file__).parent / "compute_on_gpu.py").read_text())
    return [sys.executable, str(program)]
