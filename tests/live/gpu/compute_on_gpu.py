"""Takes GIB of memory of the first GPU it sees, says so, and holds it for SECONDS.

Through the CUDA driver itself, so that a job needs nothing but the driver: ``compute_on_gpu.py GIB SECONDS``.
"""

from __future__ import annotations

import ctypes
import sys
import time


def must(code: int, what: str) -> None:
    """End here where CUDA refuses."""
    if code:
        sys.exit(f"{what}: CUDA error {code}")


cuda = ctypes.CDLL("libcuda.so.1")
device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
must(cuda.cuInit(0), "cuInit")
must(cuda.cuDeviceGet(ctypes.byref(device), 0), "cuDeviceGet")
must(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device), "cuCtxCreate")
size = ctypes.c_size_t(int(float(sys.argv[1]) * 2**30))
must(cuda.cuMemAlloc_v2(ctypes.byref(memory), size), "cuMemAlloc")
sys.stdout.write("computing\n")
sys.stdout.flush()
time.sleep(float(sys.argv[2]))
