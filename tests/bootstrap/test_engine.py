"""Plans are applied, applied again, cut off, and taken back, on real files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gpujobs.bootstrap import BusyError, Event, LocalShell, Machine, Plan, RefusedError, StepFailedError
from gpujobs.bootstrap.engine import apply, holding, undo
from gpujobs.bootstrap.steps import UNDOERS, Command, Directory, File, SecretFile


def a_plan(machine: Machine, root: Path, me: str, *, text: str = "one\n") -> Plan:
    """Four steps of four kinds below ``root``."""
    steps = (
        Directory("here", "Make the directory", f"{root}/etc/app", owner=me),
        File("here", "Write the configuration", f"{root}/etc/app/app.conf", text, owner=me),
        SecretFile("here", "Make the key", f"{root}/etc/app/key", 64, 0o600, me),
        Command(
            "here",
            "Touch the marker",
            "marker",
            probe=("test", "-e", f"{root}/marker"),
            run=(("touch", f"{root}/marker"),),
            undo_run=(("rm", "-f", f"{root}/marker"),),
        ),
    )
    return Plan("test", {"here": machine}, steps, wish={"text": text})


def tree(root: Path) -> dict[str, tuple[str, bytes]]:
    """Every path below ``root`` with its kind, mode and content."""
    return {
        str(path.relative_to(root)): (f"{path.stat().st_mode:o}", path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
        if path.name != "lock"
    }


def test_a_plan_only_looks(machine: Machine, tmp_path: Path, me: str) -> None:
    """Looking at a plan changes nothing and tells what is missing."""
    looks = a_plan(machine, tmp_path, me).look()

    assert [look.finding.done for look in looks] == [False] * 4
    assert tree(tmp_path) == {}


def test_the_second_apply_changes_nothing(machine: Machine, tmp_path: Path, me: str, lock_file: str) -> None:
    """What is done is done: the second run reports four unchanged steps and leaves every byte alone."""
    first = apply(a_plan(machine, tmp_path, me), lock_file=lock_file)
    before = tree(tmp_path)

    second = apply(a_plan(machine, tmp_path, me), lock_file=lock_file)

    assert len(first.changed) == 4
    assert (len(second.changed), len(second.unchanged)) == (0, 4)
    assert tree(tmp_path) == before


def test_undo_leaves_no_trace(machine: Machine, tmp_path: Path, me: str, lock_file: str) -> None:
    """After an undo the tree is as it was, and the journal is gone too."""
    (tmp_path / "etc").mkdir()
    before = tree(tmp_path)
    apply(a_plan(machine, tmp_path, me), lock_file=lock_file)

    taken = undo({"here": machine}, UNDOERS, lock_file=lock_file)

    assert tree(tmp_path) == before
    assert len(taken.undone) == 4
    assert taken.kept == []


@pytest.mark.parametrize("survives", [0, 1, 2, 3])
def test_a_run_that_stops_anywhere_is_finished_by_the_next(
    machine: Machine, tmp_path: Path, me: str, lock_file: str, survives: int
) -> None:
    """Whatever step a run dies after, the next run ends in the same tree, and the undo in none."""
    whole = a_plan(machine, tmp_path, me)
    apply(Plan("test", whole.machines, whole.steps[:survives], wish=whole.wish), lock_file=lock_file)

    apply(whole, lock_file=lock_file)

    assert (tmp_path / "etc/app/app.conf").read_text() == "one\n"
    assert (tmp_path / "marker").exists()
    undo({"here": machine}, UNDOERS, lock_file=lock_file)
    assert tree(tmp_path) == {}


def test_the_first_note_of_a_file_survives_later_runs(
    machine: Machine, tmp_path: Path, me: str, lock_file: str
) -> None:
    """Two applies with two contents: the undo brings back what was there before the first."""
    target = tmp_path / "etc/app/app.conf"
    target.parent.mkdir(parents=True)
    target.write_text("theirs\n")
    apply(a_plan(machine, tmp_path, me, text="one\n"), lock_file=lock_file)
    apply(a_plan(machine, tmp_path, me, text="two\n"), lock_file=lock_file)

    undo({"here": machine}, UNDOERS, lock_file=lock_file)

    assert target.read_text() == "theirs\n"


def test_an_undo_keeps_what_somebody_else_edited(machine: Machine, tmp_path: Path, me: str, lock_file: str) -> None:
    """A file that was edited after us goes aside instead of away, and the undo says where it is."""
    apply(a_plan(machine, tmp_path, me), lock_file=lock_file)
    (tmp_path / "etc/app/app.conf").write_text("edited\n")

    taken = undo({"here": machine}, UNDOERS, lock_file=lock_file)

    backup = tmp_path / "backups" / str(tmp_path)[1:] / "etc/app/app.conf"
    assert [str(backup) in line for line in taken.kept] == [True]
    assert backup.read_text() == "edited\n"
    assert not (tmp_path / "etc").exists()


def test_an_undo_that_stops_is_finished_by_the_next(machine: Machine, tmp_path: Path, me: str, lock_file: str) -> None:
    """What was taken back is struck out at once: the next undo begins where the last one stopped."""
    stubborn = Command(
        "here", "Be stubborn", "stubborn", probe=("test", "-e", f"{tmp_path}/s"), run=(("touch", f"{tmp_path}/s"),),
        undo_run=(("rm", f"{tmp_path}/s"), ("test", "-e", f"{tmp_path}/allowed")),
    )  # fmt: skip
    whole = a_plan(machine, tmp_path, me)
    apply(Plan("test", whole.machines, (*whole.steps[:2], stubborn, *whole.steps[2:])), lock_file=lock_file)

    with pytest.raises(StepFailedError, match="'Be stubborn' on here could not be taken back") as caught:
        undo({"here": machine}, UNDOERS, lock_file=lock_file)

    assert caught.value.done == ("here: Touch the marker", "here: Make the key")
    assert [entry.title for entry in machine.journal] == [
        "Make the directory",
        "Write the configuration",
        "Be stubborn",
    ]
    (tmp_path / "allowed").touch()
    (tmp_path / "s").touch()
    assert len(undo({"here": machine}, UNDOERS, lock_file=lock_file).undone) == 3


def test_a_failure_tells_the_command_and_where_things_stand(
    machine: Machine, tmp_path: Path, me: str, lock_file: str
) -> None:
    """The error has the command, its output, what is done and what is not; the fixed plan goes on from there."""
    good = a_plan(machine, tmp_path, me).steps
    bad = Command("here", "Break", "bad", probe=("false",), run=(("sh", "-c", "echo out; echo why >&2; exit 3"),))
    events: list[Event] = []

    with pytest.raises(StepFailedError) as caught:
        apply(Plan("test", {"here": machine}, (good[0], bad, good[1])), on_event=events.append, lock_file=lock_file)

    assert caught.value.command == "sh -c 'echo out; echo why >&2; exit 3'"
    assert caught.value.output == "out\nwhy"
    assert caught.value.done == ("here: Make the directory",)
    assert caught.value.not_done == ("here: Break", "here: Write the configuration")
    assert len(str(caught.value).splitlines()) == 2
    assert [(e.number, e.phase) for e in events] == [(1, "doing"), (1, "done"), (2, "doing"), (2, "failed")]
    assert apply(Plan("test", {"here": machine}, good), lock_file=lock_file).unchanged == ["here: Make the directory"]


def test_a_step_that_did_not_help_is_a_failure(machine: Machine, lock_file: str) -> None:
    """A command that exits 0 without making it so is not believed."""
    hollow = Command("here", "Pretend", "hollow", probe=("false",), run=(("true",),))

    with pytest.raises(StepFailedError, match="it ran without an error, yet `false` says"):
        apply(Plan("test", {"here": machine}, (hollow,)), lock_file=lock_file)


def test_two_runs_at_once_are_refused(machine: Machine, lock_file: str) -> None:
    """While one run holds the machine, another is told so and touches nothing."""
    with holding([machine], lock_file=lock_file), pytest.raises(BusyError, match="Another gpujobs bootstrap"):
        apply(Plan("test", {"here": machine}, ()), lock_file=lock_file)

    assert apply(Plan("test", {"here": machine}, ()), lock_file=lock_file).changed == []


def test_a_killed_run_lets_go_of_the_lock(lock_file: str) -> None:
    """The lock dies with the process that held it."""
    code = (
        "import os, signal\nfrom gpujobs.bootstrap._lock import locked\nfrom gpujobs.bootstrap import LocalShell\n"
        f"with locked(LocalShell(), path={lock_file!r}): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False)

    assert killed.returncode == -9
    for _ in range(50):
        if LocalShell().run(("flock", "-n", lock_file, "true")).ok:
            break
    assert LocalShell().run(("flock", "-w", "5", lock_file, "true")).ok


def test_a_plan_of_strangers_is_refused(machine: Machine, tmp_path: Path, me: str) -> None:
    """A step for a machine that is not there, or two steps for one file, are mistakes of the plan."""
    step = File("elsewhere", "Write", f"{tmp_path}/x", "", owner=me)
    twice = File("here", "Write", f"{tmp_path}/x", "", owner=me)

    with pytest.raises(RefusedError, match="no machine of this plan"):
        Plan("test", {"here": machine}, (step,))
    with pytest.raises(RefusedError, match="Two steps"):
        Plan("test", {"here": machine}, (twice, twice))


def test_a_plan_is_json(machine: Machine, tmp_path: Path, me: str) -> None:
    """A program reads hosts, titles, what is missing and the exact commands; no secret is among them."""
    user, group = me.split(":")

    document = json.loads(json.dumps(a_plan(machine, tmp_path, me).to_json()))

    assert document["missing"] == 4
    assert document["steps"][1]["commands"] == [
        f"install -m 644 -o {user} -g {group} /dev/stdin {tmp_path}/etc/app/app.conf <<'EOF'\none\nEOF"
    ]
    assert document["steps"][2]["commands"][0].startswith("head -c 64 /dev/random | install -m 600 ")


def test_the_wish_is_kept_with_the_journal(machine: Machine, tmp_path: Path, me: str, lock_file: str) -> None:
    """A later verify or undo need not be told again what was asked for."""
    apply(a_plan(machine, tmp_path, me), lock_file=lock_file)
    machine.journal.reload()

    assert machine.journal.wish == {"text": "one\n"}
    assert Path(machine.journal.path).stat().st_mode & 0o777 == 0o600
