"""How the GPUs of a cluster are shared: time-slicing, MPS, MIG slices."""

from __future__ import annotations

from gpujobs.bootstrap.gpu_sharing.sharing import GpuSharing
from gpujobs.bootstrap.gpu_sharing.wish import Sharing, SharingWish

__all__ = ["GpuSharing", "Sharing", "SharingWish"]
