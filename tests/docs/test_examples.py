"""Every example runs, on the real local backend."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Place

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_no_example_is_forgotten() -> None:
    """Each Python file and each program has a test below."""
    tested = Path(__file__).read_text()
    assert [p.name for p in EXAMPLES.iterdir() if p.is_file() and f'"{p.name}"' not in tested] == []


def test_nvidia_smi_runs_on_a_target(place: Place) -> None:
    """It prints the log and the end; where there is no nvidia-smi, the job says so itself."""
    shown = place.python(EXAMPLES / "nvidia_smi.py", "--target", "local")
    assert re.search(r"^local://local/\S+$", shown, re.MULTILINE)
    assert "SUCCEEDED" in shown


def test_an_array_runs_every_element(place: Place) -> None:
    """Eight elements, each with its own output and its own end."""
    shown = place.python(EXAMPLES / "array.py", "--target", "lab", "--elements", "8")
    assert sorted(map(int, re.findall(r"^element (\d+): \d+$", shown, re.MULTILINE))) == list(range(8))
    assert "8 of 8 succeeded" in shown


def test_a_tool_embeds_gpujobs(place: Place) -> None:
    """It prints one JSON object per experiment, also of the one that fails, and can be run again."""
    argv: list[str | Path] = [EXAMPLES / "embed_in_a_tool.py", "--target", "lab", "0.1", "0.01", "-1"]
    results = [json.loads(line) for line in place.python(*argv).splitlines()]

    assert [r["rate"] for r in results] == [0.1, 0.01, -1.0]
    assert [r["state"] for r in results] == ["SUCCEEDED", "SUCCEEDED", "FAILED"]
    assert "exit code 2" in results[2]["why"]
    again = [json.loads(line) for line in place.python(*argv).splitlines()]
    assert [r["ref"] for r in again] == [r["ref"] for r in results]


@pytest.mark.timeout(900)
def test_the_first_job_is_installed_and_run(place: Place) -> None:
    """From a copy of the repository, as a newcomer would."""
    copy = place.directory / "clone"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests")
    shutil.copytree(EXAMPLES.parent, copy, ignore=ignored)
    shown = place.run([copy / "examples" / "first-job"], timeout=800)
    assert "GPU 0: " in shown or ("no NVIDIA GPU" in shown and re.search(r"local://local/\S+ ran on ", shown))


def test_vllm_says_what_it_takes(place: Place) -> None:
    """It needs a Kubernetes cluster to run; what it asks for is tested with the bootstrap, against the manifests."""
    shown = place.python(EXAMPLES / "vllm.py", "--help")
    assert all(option in shown for option in ("--models", "--claim", "--replicas", "--render"))
