"""What the tiers are, and where their tests stand."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIRECTORIES = {
    "unit": ("tests/unit", "tests/bootstrap"),
    "contract": ("tests/contract",),
    "bootstrap": ("tests/live/bootstrap",),
    "docs": ("tests/docs",),
    "slurm": ("tests/live/slurm",),
    "kubernetes": ("tests/live/kubernetes",),
}
CHECKS = {
    "lint": (("ruff", "check", "."), ("ruff", "format", "--check", ".")),
    "types": (("mypy",), ("pyright", "--pythonpath", sys.executable)),
}
BEDS = ("bootstrap", "slurm", "kubernetes")
"""Tiers on real clusters: what they need may not run on this machine, and tests marked ``long`` are left out."""


def paths_of(tier: str, root: Path = ROOT) -> list[str]:
    """The directories of a tier that are there and hold tests."""
    return [path for path in DIRECTORIES[tier] if any((root / path).rglob("test_*.py"))]


def tiers_here(root: Path = ROOT) -> list[str]:
    """Every tier of this checkout, in the order in which they run."""
    return [*CHECKS, *(tier for tier in DIRECTORIES if paths_of(tier, root))]
