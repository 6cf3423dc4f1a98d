"""For a machine with a real NVIDIA GPU: `pytest tests/live/gpu`. No tier of its own, since most machines have none."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def gpus() -> list[str]:
    """The lines of ``nvidia-smi -L``; without any the tests here cannot run."""
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
    program.write_text(
        "import ctypes, sys, time\n"
        "cuda = ctypes.CDLL('libcuda.so.1')\n"
        "def must(code, what):\n"
        "    if code: sys.exit(f'{what}: CUDA error {code}')\n"
        "must(cuda.cuInit(0), 'cuInit')\n"
        "device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()\n"
        "must(cuda.cuDeviceGet(ctypes.byref(device), 0), 'cuDeviceGet')\n"
        "must(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device), 'cuCtxCreate')\n"
        "size = ctypes.c_size_t(int(float(sys.argv[1]) * 2**30))\n"
        "must(cuda.cuMemAlloc_v2(ctypes.byref(memory), size), 'cuMemAlloc')\n"
        "print('computing', flush=True)\n"
        "time.sleep(float(sys.argv[2]))\n"
    )
    return [sys.executable, str(program)]
