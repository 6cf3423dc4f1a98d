"""The crowds of `tests/contract/local/test_crowd.py` at full size: 200 submissions, a minute of kills, every call.

Run it with `pytest tests/stress/crowd.py`; it takes some ten minutes and wants a machine of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..contract.local import test_crowd, test_kills  # noqa: TID252  # tests are no package
from ..contract.local.test_kills import strace  # noqa: TID252

if TYPE_CHECKING:
    from pathlib import Path

    from ..contract.local.conftest import Bench, MakeBench  # noqa: TID252

__all__ = ["strace"]

pytestmark = pytest.mark.timeout(1800)


def test_two_hundred_submissions_from_eight_clients(bench: Bench) -> None:
    """At no time do two jobs hold one GPU; all end well."""
    test_crowd.flood(bench, each=25, longest=0.9)


def test_a_minute_of_kills(bench: Bench) -> None:
    """Clients, supervisors and the keeper; no job in a wrong state, no GPU held for ever or handed out too early."""
    test_crowd.flood_with_kills(bench, each=25, longest=1.5, seconds=60)


def test_killed_at_every_line(bench: Bench, tmp_path: Path) -> None:
    """Each third of the lines that a submission runs."""
    test_kills.kill_at_lines(bench, tmp_path / "ran", points=400)


def test_killed_at_every_call(make_bench: MakeBench, strace: str, tmp_path: Path) -> None:
    """Each system call that changes anything."""
    test_kills.kill_at_calls(make_bench(), strace, tmp_path, points=1000)
