"""microk8s cut off anywhere, by a kill before or after each change: the next apply or undo finishes it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpujobs.bootstrap.engine import apply, undo
from gpujobs.bootstrap.microk8s.microk8s import UNDOERS

from .microk8s_bed import machine, plan, state

RUN = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from gpujobs.bootstrap.engine import apply, undo
from gpujobs.bootstrap.microk8s.microk8s import UNDOERS
from microk8s_bed import machine, plan
from gpujobs.bootstrap.microk8s import Microk8sWish
for line in sys.stdin:
    verb, bed, me, lock = json.loads(line)
    pid = os.fork()
    if pid:
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        continue
    if verb in {"apply", "fewer"}:
        wish = Microk8sWish(addons=("dns",)) if verb == "fewer" else None
        apply(plan(Path(bed), me, wish), lock_file=lock)
    else:
        undo({"localhost": machine(Path(bed), me)}, UNDOERS, lock_file=lock)
    os._exit(0)
"""

Run = Callable[..., int]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """An apply (with ``fewer`` addons) or an undo that may be killed: ``run(verb, bed, me, lock_file)``.

    It is a process of its own, the fork of one that has imported everything, which takes longer than the work.
    """
    argv = [sys.executable, "-c", RUN, str(Path(__file__).parent)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        to, of = parent.stdin, parent.stdout

        def one(verb: str, bed: Path, me: str, lock_file: str) -> int:
            to.write(json.dumps([verb, str(bed), me, lock_file]) + "\n")
            to.flush()
            ended = int(of.readline())
            # The lock goes with the last process that holds its pipe, a moment after the one that was killed.
            subprocess.run(["flock", "-w", "10", lock_file, "true"], check=True)
            return ended

        yield one


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 7))
def test_a_killed_apply_is_finished_by_the_next(
    run: Run, bed: Path, me: str, lock_file: str, *, when: str, number: int
) -> None:
    """Killed before or after any of its six changes, it goes on where it was, and an undo leaves no trace."""
    (bed / "kill").write_text(f"{when} {number}")
    killed = run("apply", bed, me, lock_file)
    (bed / "kill").unlink()

    apply(plan(bed, me), lock_file=lock_file)
    done = state(bed)
    undo({"localhost": machine(bed, me)}, UNDOERS, lock_file=lock_file)

    assert killed == -9
    assert done["addons"] == ["dns", "helm3", "hostpath-storage"]
    assert (done["held"], done["groups"]) == (True, ["alice", "microk8s"])
    assert (state(bed)["installed"], state(bed)["groups"], state(bed)["group"]) == (False, ["alice"], False)
    assert list((bed / "home").iterdir()) == []
    assert not (bed / "state").exists()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(7, 14))
def test_a_killed_undo_is_finished_by_the_next(
    run: Run, bed: Path, me: str, lock_file: str, *, when: str, number: int
) -> None:
    """Killed before or after any of its changes, the next undo takes back the rest."""
    apply(plan(bed, me), lock_file=lock_file)
    (bed / "kill").write_text(f"{when} {number}")
    killed = run("undo", bed, me, lock_file)
    (bed / "kill").unlink()

    undo({"localhost": machine(bed, me)}, UNDOERS, lock_file=lock_file)

    assert killed == -9
    assert (state(bed)["installed"], state(bed)["groups"], state(bed)["group"]) == (False, ["alice"], False)
    assert not (bed / "state").exists()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [7, 8])
def test_a_killed_apply_of_less_is_finished_by_the_next(
    run: Run, bed: Path, me: str, lock_file: str, *, when: str, number: int
) -> None:
    """Killed before or after an addon was disabled, the next apply of the same wish ends with the same addons."""
    apply(plan(bed, me), lock_file=lock_file)
    (bed / "kill").write_text(f"{when} {number}")
    killed = run("fewer", bed, me, lock_file)
    (bed / "kill").unlink()

    assert run("fewer", bed, me, lock_file) == 0
    assert killed == -9
    assert state(bed)["addons"] == ["dns"]
    assert [entry.key for entry in machine(bed, me).journal if "addon" in entry.key] == ["command:addon-dns"]
