"""What is planned for which machines, word by word: the data are in cases/ and machines/."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gpujobs.bootstrap import LocalShell
from gpujobs.bootstrap.slurm.probes import SlurmFacts
from gpujobs.bootstrap.slurm.steps import slurm_steps
from gpujobs.bootstrap.slurm.wish import SlurmWish
from gpujobs.bootstrap.steps import Directory

HERE = Path(__file__).parent
CASES = sorted((HERE / "cases").glob("*.json"))


def machine(name: str) -> SlurmFacts:
    """One of the machines that stand beside this file."""
    return SlurmFacts.model_validate_json((HERE / "machines" / f"{name}.json").read_text())


def planned(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps for the machines and the wish of a case."""
    facts = {host: machine(name) for host, name in case["facts"].items()}
    wish = SlurmWish.model_validate(case["wish"])
    shells = {name: LocalShell(name) for name in facts}
    steps = slurm_steps(wish, facts, shells)
    return [{"host": s.host, "title": s.title, "commands": [c.splitlines() for c in s.commands()]} for s in steps]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_plan_is_exactly_this(path: Path) -> None:
    """Facts and wish give these steps, in this order, with these commands and files."""
    case = json.loads(path.read_text())
    steps = planned(case)
    if os.environ.get("GPUJOBS_WRITE_CASES"):  # then read the difference: what stands there is the expectation
        path.write_text(json.dumps({**case, "steps": steps}, indent=1) + "\n")

    assert steps == json.loads(path.read_text())["steps"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_no_plan_ever_deletes_the_jobs_of_slurm(path: Path) -> None:
    """What an undo finds in StateSaveLocation stays there, and it says why."""
    case = json.loads(path.read_text())
    facts = {host: machine(name) for host, name in case["facts"].items()}
    wish = SlurmWish.model_validate(case["wish"])
    steps = slurm_steps(wish, facts, {name: LocalShell(name) for name in facts})

    kept = [s for s in steps if isinstance(s, Directory) and s.path == wish.state_directory]
    assert [(s.host, s.contents) for s in kept] == [(wish.controller, "keep")]
    assert "jobs" in kept[0].keep_why
