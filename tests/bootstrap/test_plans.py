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
