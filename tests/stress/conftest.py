"""The benches of the contract tests, for runs of minutes; in no tier: `pytest tests/stress/crowd.py`."""

from ..contract.local.conftest import bench, make_bench  # noqa: TID252  # tests are no package

__all__ = ["bench", "make_bench"]
