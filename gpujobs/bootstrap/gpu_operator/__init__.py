"""NVIDIA's GPU Operator in a cluster: plan, apply, verify, undo."""

from __future__ import annotations

from gpujobs.bootstrap.gpu_operator.operator import GpuOperator
from gpujobs.bootstrap.gpu_operator.wish import OperatorWish

__all__ = ["GpuOperator", "OperatorWish"]
