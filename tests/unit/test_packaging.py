"""What is in the wheel, and what importing it costs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["gpujobs", "gpujobs_kubernetes", "gpujobs_local", "gpujobs_slurm"]
HEAVY = {"kubernetes", "requests", "yaml", "rich", "click", "typer", "tenacity", "pydantic"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that the test command built, or one built now."""
    given = os.environ.get("GPUJOBS_WHEEL")
    if given is None:
        made = tmp_path_factory.mktemp("wheel")
        subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", made, ROOT], check=True)
        given = str(next(made.glob("*.whl")))
    return zipfile.ZipFile(given)


def test_the_wheel_holds_exactly_the_four_packages(wheel: zipfile.ZipFile) -> None:
    """No tests, no docs, no package named backends."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert sorted(top for top in tops if not top.endswith(".dist-info")) == PACKAGES


def test_every_package_is_typed_and_no_junk_is_shipped(wheel: zipfile.ZipFile) -> None:
    """A py.typed in each; no bytecode."""
    names = set(wheel.namelist())
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert [name for name in names if "__pycache__" in name] == []


def test_the_metadata_says_what_is_needed(wheel: zipfile.ZipFile) -> None:
    """Licence, Python versions, extras, the program and the three backends."""
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    meta = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    points = wheel.read(f"{info}/entry_points.txt").decode()

    assert (meta["Name"], meta["License-Expression"], meta["Requires-Python"]) == ("gpujobs", "Apache-2.0", ">=3.10")
    assert {"all", "kubernetes", "pyslurm", "slurm-rest"} <= set(meta.get_all("Provides-Extra") or ())
    for line in (
        "gpujobs = gpujobs.cli:main",
        "local = gpujobs_local:LocalBackend",
        "slurm = gpujobs_slurm:SlurmBackend",
        "kubernetes = gpujobs_kubernetes:KubernetesBackend",
    ):
        assert line in points.splitlines()
    assert not [r for r in meta.get_all("Requires-Dist") or () if r.startswith("pyslurm") and 'extra == "all"' in r]


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running ``code``."""
    script = f"{code}\nimport sys; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Not even pydantic: names are loaded on first use."""
    assert HEAVY & loaded_after("import gpujobs") == set()


def test_a_first_model_loads_only_what_models_need() -> None:
    """No backend's library, no YAML, nothing of the command line."""
    code = "from gpujobs import GpuJob, submit; GpuJob(command=['x'], gpus=1)"
    assert loaded_after(code) & (HEAVY | set(PACKAGES)) == {"gpujobs", "pydantic"}


def test_the_version_is_the_one_of_the_distribution() -> None:
    """One place only: the package metadata."""
    code = "import gpujobs, importlib.metadata as m; print(gpujobs.__version__ == m.version('gpujobs'))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"True\n"
