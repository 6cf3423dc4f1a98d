"""Slurm with GPUs on one machine or several: plan, apply, verify, undo."""

from __future__ import annotations

from gpujobs.bootstrap.slurm.cluster import SlurmCluster, with_node, without_node
from gpujobs.bootstrap.slurm.wish import SlurmWish

__all__ = ["SlurmCluster", "SlurmWish", "with_node", "without_node"]
