"""The test command itself: what it runs, how it counts, and when it is not content."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

SOURCE = Path(__file__).resolve().parents[1] / "tiers"
HERE = ["lint", "types", "unit", "contract", "slurm"]
REPORT = '<testsuites><testsuite tests="9" errors="1" failures="2" skipped="3"></testsuite></testsuites>'


@pytest.fixture(scope="module")
def tiers() -> Iterator[ModuleType]:
    """The program behind ``tests/run``."""
    spec = importlib.util.spec_from_file_location("tiers", SOURCE / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(SOURCE), *sys.path])
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def counting(tiers: ModuleType) -> ModuleType:
    """Its part that counts."""
    return sys.modules[tiers.Counts.__module__]


def test_a_report_is_counted(counting: Any, tmp_path: Path) -> None:
    """Errors are failures; no report is nothing passed."""
    report = tmp_path / "report.xml"
    assert str(counting.read_report(report)) == "0 passed, 0 failed, 0 skipped"
    report.write_text(REPORT)
    assert str(counting.read_report(report)) == "3 passed, 3 failed, 3 skipped"


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
    assert tiers.parse(argv, HERE) == (run, required, False)


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


def test_only_the_rolling_suite_may_be_skipped_where_it_is_required(tiers: Any, counting: Any, tmp_path: Path) -> None:
    """Its skips are counted as skips and told, and do not make the tier fail; any other does."""
    report = tmp_path / "report.xml"
    skip = '<testcase><skipped message="SLURM OF {} NOT RUN: no chroot"/></testcase>'
    ends = {}
    for suite in ("sid", "trixie"):
        cases = "<testcase/>" + skip.format(suite)
        report.write_text(f'<testsuites><testsuite tests="2" skipped="1">{cases}</testsuite></testsuites>')
        counts = counting.read_report(report)
        assert str(counts) == "1 passed, 0 failed, 1 skipped"
        ends[suite] = tiers.run_tier("slurm", {"slurm"}, run=Mock(return_value=counts))

    assert ends == {"sid": True, "trixie": False}


LANES = """
import sys
sys.path.insert(0, sys.argv[1])
import lanes
HOLD = "trap 'echo cleared away; exit 1' INT; touch {}; while :; do sleep 0.05; done"
SCRIPTS = {
    "quick": "echo; echo 'quick: 1 passed'",
    "bad": "echo; echo 'bad: 1 failed'; exit 1",
    "dies": "kill -9 $$",
    "next": "echo; echo 'next: 1 passed'",
    "slow": "while [ ! -e go ]; do sleep 0.02; done; echo one; sleep 0.1; echo 'slow: 2 passed'",
    "held": HOLD.format("held"), "caught": HOLD.format("caught"), "never": "touch never",
}
print(lanes.side_by_side([w.split("+") for w in sys.argv[2:]], lambda tier: ["sh", "-c", SCRIPTS[tier]]))
"""


def lanes(directory: Path, *words: str) -> subprocess.Popen[str]:
    """A run of these lanes, each of tiers joined by ``+``."""
    argv = [sys.executable, "-c", LANES, str(SOURCE), *words]
    return subprocess.Popen(argv, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_each_lane_goes_on_and_each_tier_is_told_as_a_whole(tmp_path: Path) -> None:
    """In the order of their ends; one that failed or died stops nobody, and has a line."""
    with lanes(tmp_path, "slow", "quick+bad+dies+next") as run:
        assert run.stdout is not None
        first = [run.stdout.readline() for _ in range(13)]
        (tmp_path / "go").touch()
        rest = run.stdout.read()

    lines = [line.strip() for line in first if line.strip() and "begins" not in line]
    assert lines == ["quick: 1 passed", "bad: 1 failed", "dies: 0 passed, 1 failed, 0 skipped", "next: 1 passed"]
    assert rest == "one\nslow: 2 passed\n['bad', 'dies']\n"


@pytest.mark.parametrize("number", [2, 15])
def test_an_interrupt_ends_every_lane(tmp_path: Path, number: int) -> None:
    """Each running tier may clear away, is waited for and told; none begins after it."""
    with lanes(tmp_path, "held+never", "caught") as run:
        while not ((tmp_path / "held").exists() and (tmp_path / "caught").exists()):
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(number)
        out, error = run.communicate()

    assert out.count("cleared away") == 2
    assert f"KeyboardInterrupt: {number}" in error
    assert not (tmp_path / "never").exists()
