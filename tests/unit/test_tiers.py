"""The test command itself: what it runs, how it counts, and when it is not content."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SOURCE = Path(__file__).resolve().parents[1] / "tiers.py"
HERE = ["lint", "types", "unit", "contract", "slurm"]
REPORT = '<testsuites><testsuite tests="9" errors="1" failures="2" skipped="3"></testsuite></testsuites>'


@pytest.fixture(scope="module")
def tiers() -> ModuleType:
    """The module behind ``tests/run``."""
    spec = importlib.util.spec_from_file_location("tiers", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_report_is_counted(tiers: Any, tmp_path: Path) -> None:
    """Errors are failures; no report is nothing passed."""
    report = tmp_path / "report.xml"
    assert str(tiers.read_report(report)) == "0 passed, 0 failed, 0 skipped"
    report.write_text(REPORT)
    assert str(tiers.read_report(report)) == "3 passed, 3 failed, 3 skipped"


@pytest.mark.parametrize(
    ("argv", "run", "required"),
    [
        ([], HERE, set[str]()),
        (["slurm", "unit"], ["unit", "slurm"], set[str]()),
        (["--require", "all"], HERE, set(HERE)),
        (["unit", "--require", "unit,slurm"], ["unit"], {"unit", "slurm"}),
    ],
)
def test_tiers_run_in_their_order(tiers: Any, argv: list[str], run: list[str], required: set[str]) -> None:
    """All that are here, or the named ones; ``all`` requires each."""
    assert tiers.parse(argv, HERE) == (run, required)


@pytest.mark.parametrize("argv", [["nothing"], ["--require", "nothing"], ["docs"], ["--require", "kubernetes"]])
def test_a_tier_that_cannot_be_is_wrong_usage(tiers: Any, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown one, and one without tests in this checkout."""
    with pytest.raises(SystemExit, match="2"):
        tiers.parse(argv, HERE)
    assert argv[-1] in capsys.readouterr().err


def test_only_directories_with_tests_are_tiers(tiers: Any, tmp_path: Path) -> None:
    """So a tier appears with its tests, and is not mentioned before."""
    (tmp_path / "tests/live/slurm").mkdir(parents=True)
    assert tiers.tiers_here(tmp_path) == ["lint", "types"]
    (tmp_path / "tests/live/slurm/test_real.py").touch()
    assert tiers.tiers_here(tmp_path) == ["lint", "types", "slurm"]


CASES = {
    "passes": ("def test_it(): pass", "1 passed, 0 failed, 0 skipped"),
    "fails": ("def test_it(): assert 0", "0 passed, 1 failed, 0 skipped"),
    "skips": ("import pytest\ndef test_it(): pytest.skip('no bed')", "0 passed, 0 failed, 1 skipped"),
    "cannot be read": ("def (", "0 passed, 1 failed, 0 skipped"),
    "dies": ("import os\ndef test_it(): os._exit(3)", "0 passed, 1 failed, 0 skipped"),
    "has none": ("", "0 passed, 0 failed, 0 skipped"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_way_a_run_can_end_is_counted(tiers: Any, tmp_path: Path, case: str) -> None:
    """A run that breaks off is a failure, whatever it had counted."""
    text, counts = CASES[case]
    (tmp_path / "test_it.py").write_text(text)
    assert str(tiers.pytest(sys.executable, ["test_it.py"], tmp_path, {"PATH": "/usr/bin:/bin"})) == counts


@pytest.mark.parametrize(
    ("counts", "required", "enough"),
    [
        ((3, 0, 0), {"slurm"}, True),
        ((3, 0, 1), {"slurm"}, False),
        ((0, 0, 0), {"slurm"}, False),
        ((3, 1, 0), {"unit"}, False),
        ((0, 0, 9), {"unit"}, True),
    ],
)
def test_a_required_tier_may_skip_nothing(
    tiers: Any, capsys: pytest.CaptureFixture[str], *, counts: tuple[int, int, int], required: set[str], enough: bool
) -> None:
    """Nor run nothing; one that is not required may skip all. Each prints its one line."""

    def ran(*_: object) -> object:
        return tiers.Counts(*counts)

    assert tiers.run_tier("slurm", required, run=ran) is enough
    lines = capsys.readouterr().out.splitlines()
    assert lines.count(f"slurm: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped") == 1


def test_only_the_rolling_suite_may_be_skipped_where_it_is_required(tiers: Any, tmp_path: Path) -> None:
    """Its skips are counted as skips and told, and do not make the tier fail; any other does."""
    report = tmp_path / "report.xml"
    skip = '<testcase><skipped message="SLURM OF {} NOT RUN: no chroot"/></testcase>'
    ends = {}
    for suite in ("sid", "trixie"):
        cases = "<testcase/>" + skip.format(suite)
        report.write_text(f'<testsuites><testsuite tests="2" skipped="1">{cases}</testsuite></testsuites>')
        counts = tiers.read_report(report)
        assert str(counts) == "1 passed, 0 failed, 1 skipped"
        ends[suite] = tiers.run_tier("slurm", {"slurm"}, run=Mock(return_value=counts))

    assert ends == {"sid": True, "trixie": False}


def test_a_part_with_a_bed_of_its_own_counts_with_the_rest(
    tiers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs beside the rest, each test once, and a failure of either is one of the tier."""
    part = tmp_path / tiers.APART["bootstrap"][0]
    part.mkdir(parents=True)
    (part / "test_part.py").write_text("def test_it(): assert 0")
    (part.parent / "test_rest.py").write_text("def test_it(): pass\ndef test_too(): pass")
    monkeypatch.setattr(tiers, "ROOT", tmp_path)

    counts = tiers.counted("bootstrap", {"PATH": "/usr/bin:/bin"})

    assert str(counts) == "2 passed, 1 failed, 0 skipped"
