"""Runs the test tiers one after another and prints one line for each: ``TIER: N passed, N failed, N skipped``.

``lint`` and ``types`` check the source. ``unit`` runs against the built wheel, without the source tree, on every Python
from 3.10 to 3.13 that this machine has. The others run against the source tree. A tier whose directory is not there is
not mentioned. A bed that cannot run on this machine is skipped and says why, unless its tier is required.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[1]
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
MINORS = (10, 11, 12, 13)
BEDS = ("bootstrap", "slurm", "kubernetes")
"""Tiers on real clusters: what they need may not run on this machine, and tests marked ``long`` are left out."""
APART = {"bootstrap": ("tests/live/bootstrap/kubernetes",)}
"""Parts of a tier with a bed of their own: they run beside the rest of it, and mostly both wait."""
SECOND_TRY = ("--reruns", "1", "-rfER")
"""A test of real processes and clocks may fail on a busy machine: it is tried once more, and pytest names it."""
EXCUSED = "SLURM OF sid"
"""How a skip begins that turns nothing red: Debian's rolling suite may not install for a day."""
NEEDED_BY_TESTS = ("hypothesis", "jsonschema", "pytest", "pytest-rerunfailures", "pytest-timeout", "responses")


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


def paths_of(tier: str, root: Path = ROOT) -> list[str]:
    """The directories of a tier that are there and hold tests."""
    return [path for path in DIRECTORIES[tier] if any((root / path).rglob("test_*.py"))]


def tiers_here(root: Path = ROOT) -> list[str]:
    """Every tier of this checkout, in the order in which they run."""
    return [*CHECKS, *(tier for tier in DIRECTORIES if paths_of(tier, root))]


def check(tier: str) -> Counts:
    """Run the programs that look at the source."""
    bin_dir = Path(sys.executable).parent
    codes = [subprocess.run([bin_dir / argv[0], *argv[1:]], cwd=ROOT, check=False).returncode for argv in CHECKS[tier]]
    return Counts(passed=codes.count(0), failed=len(codes) - codes.count(0))


def pip(python: str | Path, *args: str) -> None:
    """Install something into an environment."""
    base = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install", "--quiet"]
    subprocess.run([*base, *args], cwd=ROOT, check=True)


def pytest(
    python: str | Path,
    paths: Sequence[str],
    cwd: Path,
    env: dict[str, str],
    options: Sequence[str] = (),
    *,
    told_at_its_end: bool = False,
) -> Counts:
    """Run pytest on some directories; a run that breaks off counts as a failure."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        argv = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *options, *paths]
        held = subprocess.PIPE if told_at_its_end else None
        ran = subprocess.run(argv, cwd=cwd, env=env, check=False, stdout=held, text=True)
        if told_at_its_end:
            say(ran.stdout)
        counts = read_report(report)
    code = ran.returncode
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


def pythons() -> dict[str, str]:
    """``3.10`` and so on -> an interpreter that works: those on PATH, then those that pyenv keeps."""
    found: dict[str, str] = {}
    for minor in MINORS:
        version = f"3.{minor}"
        kept = sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}"))
        on_path = [shutil.which(f"python{version}"), shutil.which("python3"), sys.executable]
        for candidate in filter(None, [*on_path, *map(str, reversed(kept))]):
            probe = [candidate, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
            asked = subprocess.run(probe, capture_output=True, text=True, check=False)
            if asked.returncode == 0 and asked.stdout.strip() == version:
                found[version] = candidate
                break
    return found


def built_wheel(directory: Path) -> Path:
    """The wheel of this source tree."""
    argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*argv, "--wheel-dir", str(directory), str(ROOT)], check=True)
    return next(directory.glob("*.whl"))


def unit(env: dict[str, str]) -> Counts:
    """The unit tier against the wheel, on each Python, in a copy of the tests that holds no source."""
    total = Counts()
    with tempfile.TemporaryDirectory() as scratch:
        wheel = built_wheel(Path(scratch) / "wheel")
        copy = Path(scratch) / "copy"
        shutil.copytree(ROOT / "tests", copy / "tests", ignore=shutil.ignore_patterns("__pycache__", "live"))
        for name in ("docs", "examples"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        for version, interpreter in pythons().items():
            home = ROOT / f".venv-tests-{version}"
            if not (home / "bin/python").exists():
                subprocess.run([interpreter, "-m", "venv", "--without-pip", str(home)], check=True)
            pip(home / "bin/python", f"gpujobs[all] @ {wheel.as_uri()}", *NEEDED_BY_TESTS)
            pip(home / "bin/python", "--force-reinstall", "--no-deps", str(wheel))
            counts = pytest(
                home / "bin/python", paths_of("unit"), copy, {**env, "GPUJOBS_WHEEL": str(wheel)}, SECOND_TRY
            )
            say(f"-- unit on Python {version}: {counts}")
            total = total.plus(counts)
    return total


def counted(tier: str, env: dict[str, str]) -> Counts:
    """Run one tier."""
    if tier in CHECKS:
        return check(tier)
    if tier == "unit":
        return unit(env)
    options = [*SECOND_TRY, *(("-m", "not long") if tier in BEDS else ())]
    apart = [part for part in APART.get(tier, ()) if (ROOT / part).is_dir()]
    with ThreadPoolExecutor() as beside:
        parts = [
            beside.submit(pytest, sys.executable, [part], ROOT, env, options, told_at_its_end=True) for part in apart
        ]
        total = pytest(
            sys.executable, paths_of(tier, ROOT), ROOT, env, [*options, *(f"--ignore={part}" for part in apart)]
        )
    for part in parts:
        total = total.plus(part.result())
    return total


def run_tier(tier: str, required: set[str], *, run: Callable[[str, dict[str, str]], Counts] = counted) -> bool:
    """Run one tier and print its line; whether it is good enough."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GPUJOBS_")}
    env["GPUJOBS_REQUIRE"] = ",".join(sorted(required))
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    say(f"-- {tier}")
    began = time.monotonic()
    try:
        counts = run(tier, env)
    except subprocess.CalledProcessError as e:
        say(f"-- {tier} could not be prepared: {e}")
        counts = Counts(failed=1)
    say(f"-- {tier} took {time.monotonic() - began:.0f} s")
    say(f"{tier}: {counts}")
    return not counts.failed and not (tier in required and (counts.skipped > counts.excused or not counts.passed))


def parse(argv: Sequence[str], here: Sequence[str]) -> tuple[list[str], set[str]]:
    """(the tiers to run, those of them that may skip nothing)."""
    parser = argparse.ArgumentParser(prog="tests/run", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("tiers", nargs="*", metavar="TIER", help=f"only these: {', '.join(here)}")
    parser.add_argument("--require", default="", metavar="TIER,...|all", help="these fail where they cannot run")
    args = parser.parse_args(argv)
    tiers: list[str] = args.tiers or list(here)
    wanted: str = args.require
    required = {tier for tier in wanted.split(",") if tier}
    unknown = sorted((set(tiers) | required) - {"all", *CHECKS, *DIRECTORIES})
    if unknown:
        parser.error(f"no tier {unknown[0]!r}; there are: {', '.join(here)}")
    missing = [t for t in [*tiers, *sorted(required - {"all"})] if t not in here]
    if missing:
        parser.error(f"the tier {missing[0]!r} has no tests in this checkout")
    return [t for t in here if t in tiers], set(here) if "all" in required else required


def main(argv: Sequence[str]) -> int:
    """Run the tiers; 0 where all were good enough."""
    tiers, required = parse(argv, tiers_here())
    pip(sys.executable, "--editable", ".[all]", "--group", "dev")
    bad = [tier for tier in tiers if not run_tier(tier, required)]
    if bad:
        say(f"-- not good enough: {', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
