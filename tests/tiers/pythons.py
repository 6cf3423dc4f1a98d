"""The unit tests against the built wheel, on every Python of this machine at the same time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from counting import SECOND_TRY, Counts, pytest, say
from places import ROOT, paths_of

MINORS = (10, 11, 12, 13)
NEEDED_BY_TESTS = ("hypothesis", "jsonschema", "pytest", "pytest-rerunfailures>=16.7", "pytest-timeout", "responses")


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
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        wheel = built_wheel(Path(scratch) / "wheel")
        copy = Path(scratch) / "copy"
        shutil.copytree(ROOT / "tests", copy / "tests", ignore=shutil.ignore_patterns("__pycache__", "live"))
        for name in ("docs", "examples"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        runs = {
            version: pool.submit(unit_on, home_of(version, interpreter), wheel, copy, env)
            for version, interpreter in pythons().items()
        }
        try:
            for version, run in runs.items():
                counts, text = run.result()
                say(f"{text}-- unit on Python {version}: {counts}")
                total = total.plus(counts)
        finally:
            pool.shutdown(cancel_futures=True)
    return total


def home_of(version: str, interpreter: str) -> Path:
    """The interpreter of this Python's own virtual environment, which is kept."""
    home = ROOT / f".venv-tests-{version}"
    if not (home / "bin/python").exists():
        subprocess.run([interpreter, "-m", "venv", "--without-pip", str(home)], check=True)
    return home / "bin/python"


def unit_on(python: Path, wheel: Path, copy: Path, env: dict[str, str]) -> tuple[Counts, str]:
    """The unit tests on one Python, and what they printed: others run at the same time."""
    pip(python, f"gpujobs[all] @ {wheel.as_uri()}", *NEEDED_BY_TESTS)
    pip(python, "--force-reinstall", "--no-deps", str(wheel))
    with tempfile.TemporaryFile() as output:
        variables = {**env, "GPUJOBS_WHEEL": str(wheel)}
        counts = pytest(python, paths_of("unit"), copy, variables, SECOND_TRY, output=output)
        output.seek(0)
        return counts, output.read().decode(errors="replace")


def pip(python: str | Path, *args: str) -> None:
    """Install something into an environment."""
    base = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install", "--quiet"]
    subprocess.run([*base, *args], cwd=ROOT, check=True)
