"""What is turned off in a later apply is taken back by it, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpujobs.bootstrap import Journal, LocalShell, Machine, Plan, apply
from gpujobs.bootstrap.journal import Entry
from gpujobs.bootstrap.slurm.leftovers import no_longer_wished
from gpujobs.bootstrap.slurm.probes import SlurmFacts
from gpujobs.bootstrap.slurm.steps import slurm_steps
from gpujobs.bootstrap.slurm.wish import SlurmWish
from gpujobs.bootstrap.steps import UNDOERS, File, TakeBack

if TYPE_CHECKING:
    from tests.bootstrap.conftest import ScriptedShell

MACHINES = Path(__file__).parent / "machines"
NOTED = {
    "keeps": "the database stays", "undo": [["id"]], "names": ["x"], "purge": True, "path": "/x", "before": None,
    "name": "x", "systemd": True,
}  # fmt: skip
EVERYTHING = SlurmWish(accounting=True, rest=True)


def facts(*names: str) -> dict[str, SlurmFacts]:
    """The controller, and other machines."""
    found = {name: (MACHINES / f"{name}.json").read_text() for name in ("debian12", *names)}
    return {name.replace("debian12", "localhost"): SlurmFacts.model_validate_json(text) for name, text in found.items()}


@pytest.fixture
def controller(tmp_path: Path, me: str) -> Machine:
    """The controller after an apply of everything."""
    shell = LocalShell("localhost")
    machine = Machine("localhost", shell, Journal(shell, "slurm", directory=str(tmp_path / "state"), user=me))
    for step in slurm_steps(EVERYTHING, facts(), {"localhost": shell}):
        machine.journal.begin(step.key, step.kind, step.title, dict(NOTED))
    return machine


def leftovers(machine: Machine, wish: SlurmWish) -> list[str]:
    """The titles of what is taken back, as they were when it was made."""
    shells = {"localhost": machine.shell}
    return [left.entry.title for left in no_longer_wished(wish, facts(), {"localhost": machine}, shells)]


REST = [
    "Run slurmrestd, which answers HTTP",
    "Have slurmrestd listen, and not as root",
    "Make the directory of slurmrestd's unit",
    "Make a user for slurmrestd",
    "Install slurmrestd",
]
ACCOUNTING = [
    "Run slurmdbd, which keeps the records",
    "Write slurmdbd.conf",
    "Install slurmdbd",
    "Make the database of the job records",
    "Run the database",
    "Tune the database for slurmdbd",
    "Install the database",
]
TOKENS = ["Have a key for tokens", "Install the plug-in for tokens"]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (EVERYTHING, []),
        (SlurmWish(accounting=True), REST + TOKENS),
        (SlurmWish(rest=True), ACCOUNTING),
        (SlurmWish(), REST + ACCOUNTING + TOKENS),
    ],
)
def test_what_is_turned_off_is_taken_back_the_last_thing_first(
    controller: Machine, wish: SlurmWish, expected: list[str]
) -> None:
    """Exactly what came for that option: not Slurm, not its jobs, not its log directory."""
    assert leftovers(controller, wish) == expected


def test_a_controller_that_runs_no_more_jobs_loses_its_slurmd(controller: Machine) -> None:
    """Nodes of its own take the place of the controller itself."""
    wish, machines = EVERYTHING.replace(nodes=("node-a",)), {"localhost": controller}

    left = no_longer_wished(wish, facts("node-a"), machines, {"localhost": controller.shell})

    assert [step.entry.title for step in left] == [
        "Run slurmd, which runs the jobs",
        "Make the directory of slurmd",
        "Note whether slurmd ran before",
    ]


def test_a_machine_where_nothing_of_it_was_made_is_left_alone(tmp_path: Path, me: str) -> None:
    """What somebody else has set up is in no journal."""
    shell = LocalShell("localhost")
    bare = Machine("localhost", shell, Journal(shell, "slurm", directory=str(tmp_path / "state"), user=me))

    assert leftovers(bare, SlurmWish()) == []


def test_the_plan_has_it_and_a_second_one_has_not(machine: Machine, tmp_path: Path, lock_file: str, me: str) -> None:
    """It is shown with its command, done once, and no longer known after that."""
    step = File("here", "Write it", str(tmp_path / "made"), "text", owner=me)
    apply(Plan("test", {"here": machine}, (step,)), lock_file=lock_file)
    (entry,) = machine.journal
    take_back = TakeBack("here", entry, UNDOERS["file"])
    plan = Plan("test", {"here": machine}, (take_back,))

    (look,) = plan.look()
    done = apply(plan, lock_file=lock_file)

    assert (look.finding.done, look.step.commands()) == (False, (f"rm -r {tmp_path}/made",))
    assert done.changed == ["here: Take back, since it is no longer wished: Write it"]
    assert not (tmp_path / "made").exists()
    assert list(machine.journal) == []
    assert plan.look()[0].finding.done


def test_what_stays_is_said_beforehand() -> None:
    """The records of jobs are nobody's to delete, nor is the data of the database."""
    database = Entry("a", "command", "A", {"keeps": "the database stays", "undo": []})
    data = Entry("b", "packages", "B", {"leaves": ["/var/lib/mysql"], "names": ["m"], "purge": False})

    said = [TakeBack("here", entry, UNDOERS[entry.kind]) for entry in (database, data)]

    assert [step.keeps for step in said] == ["the database stays", "/var/lib/mysql stays: it holds your data"]
    assert said[1].commands() == ("apt-get remove m",)


def test_slurmctld_begins_another_log_when_slurmdbd_goes(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """Debian's purge of one deletes the log of the other, which goes on running."""
    scripted.answer("dpkg-query", "installed slurmdbd\n")
    (dbd,) = (
        s for s in slurm_steps(EVERYTHING, facts(), {"localhost": scripted}) if s.key == "packages:Install slurmdbd"
    )
    data = {"names": ["slurmdbd"], "purge": True, "accounts": [], "absent": [], "leaves": []}

    dbd.undo(scripted_machine, {**data, "after_removal": ["kill", "-USR2", "1"]})

    assert scripted.ran.index("kill -USR2 1") == len(scripted.ran) - 2
    assert any(" purge slurmdbd" in line for line in scripted.ran)
