"""Running pytest once, and how many tests ended how."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND_TRY = ("--reruns", "1", "--rerun-show-tracebacks", "-rfER")
"""A test of real processes and clocks may fail on a busy machine: it is tried once more, and its failure is shown."""
EXCUSED = "SLURM OF sid"
"""How a skip begins that turns nothing red: Debian's rolling suite may not install for a day."""


class Counts(NamedTuple):
    """How many tests ended how."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    excused: int = 0
    """Of the skipped ones: those that a required tier may skip."""

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    def plus(self, other: Counts) -> Counts:
        """The sum of both."""
        return Counts(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.excused + other.excused,
        )


def say(text: str) -> None:
    """Print at once, so that lines stay in order with what the tests print."""
    print(text, flush=True)  # noqa: T201  # a program's output


def pytest(
    python: str | Path,
    paths: Sequence[str],
    cwd: Path,
    env: dict[str, str],
    options: Sequence[str] = (),
    *,
    output: IO[bytes] | None = None,
) -> Counts:
    """Run pytest on some directories; a run that breaks off counts as a failure."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        argv = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *options, *paths]
        code = subprocess.run(argv, cwd=cwd, env=env, check=False, stdout=output, stderr=output).returncode
        counts = read_report(report)
    return counts if code in {0, 1, 5} and (code == 1) == bool(counts.failed) else counts._replace(failed=1)


def read_report(report: Path) -> Counts:
    """The counts of a JUnit report; none where pytest did not get as far as writing one."""
    if not report.is_file():
        return Counts()
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314  # pytest wrote it just now
    total = Counts()
    for suite in suites:
        tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        excused = sum(str(s.get("message")).startswith(EXCUSED) for s in suite.iter("skipped"))
        total = total.plus(Counts(tests - failed - skipped, failed, skipped, excused))
    return total
