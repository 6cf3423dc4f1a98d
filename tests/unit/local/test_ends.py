"""Judging ends, summing elements, telling processes and file systems: pure parts of the local backend."""

from __future__ import annotations

import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from gpujobs import Reason, SpecError, State
from gpujobs.environment import inherited
from gpujobs_local import _command, _processes
from gpujobs_local._filesystem import network_type
from gpujobs_local._home import Home
from gpujobs_local._locks import Holder, Locks, lock_directory
from gpujobs_local._outcome import Seen, judge
from gpujobs_local._output import Which, files
from gpujobs_local._status import _sum


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (Seen(0), (State.SUCCEEDED, None, 0, None, False)),
        (Seen(0, oom_kills=1), (State.SUCCEEDED, Reason.OOM, 0, None, False)),
        (Seen(3), (State.FAILED, Reason.EXIT_CODE, 3, None, True)),
        (Seen(127), (State.FAILED, Reason.EXIT_CODE, 127, None, True)),
        (Seen(128), (State.FAILED, Reason.EXIT_CODE, 128, None, True)),
        (Seen(137), (State.FAILED, Reason.SIGNAL, None, 9, True)),
        (Seen(192), (State.FAILED, Reason.SIGNAL, None, 64, True)),
        (Seen(193), (State.FAILED, Reason.EXIT_CODE, 193, None, True)),
        (Seen(-9), (State.FAILED, Reason.SIGNAL, None, 9, True)),
        (Seen(-9, oom_kills=0, machine_oom=False), (State.FAILED, Reason.SIGNAL, None, 9, True)),
        (Seen(-9, oom_kills=2), (State.FAILED, Reason.OOM, None, 9, True)),
        (Seen(1, oom_kills=1), (State.FAILED, Reason.OOM, 1, None, True)),
        (Seen(-9, machine_oom=True), (State.FAILED, Reason.OOM, None, 9, True)),
        (Seen(-15, machine_oom=True), (State.FAILED, Reason.SIGNAL, None, 15, True)),
        (Seen(-15, "time-limit"), (State.FAILED, Reason.TIMEOUT, None, 15, False)),
        (Seen(0, "time-limit"), (State.FAILED, Reason.TIMEOUT, 0, None, False)),
        (Seen(-9, "deadline"), (State.FAILED, Reason.DEADLINE, None, 9, False)),
        (Seen(-15, "cancel"), (State.CANCELLED, Reason.CANCELLED, None, 15, False)),
        (Seen(-15, "shutdown"), (State.FAILED, Reason.NODE_FAIL, None, 15, False)),
    ],
)
def test_an_end_is_judged(seen: Seen, wanted: tuple[Any, ...]) -> None:
    """State, reason, exit code, signal, and whether another attempt may be made."""
    outcome = judge(seen)

    code = outcome.cause.code if outcome.cause else None
    assert (outcome.state, code, outcome.exit_code, outcome.signal, outcome.again) == wanted


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ("SUCCEEDED SUCCEEDED", State.SUCCEEDED),
        ("SUCCEEDED FAILED LOST", State.FAILED),
        ("SUCCEEDED LOST CANCELLED", State.LOST),
        ("SUCCEEDED CANCELLED", State.CANCELLED),
        ("FAILED RUNNING PENDING", State.RUNNING),
        ("FAILED PENDING", State.PENDING),
    ],
)
def test_an_array_is_the_sum_of_its_elements(states: str, whole: State) -> None:
    """It runs while anything runs and ends as the worst."""
    assert _sum([State(s) for s in states.split()]) is whole


@pytest.mark.parametrize(
    ("script", "program"),
    [
        ("echo", ["/bin/sh"]),
        ("#!/usr/bin/env python3\n", ["/usr/bin/env", "python3"]),
        ("#! /bin/bash -e -u \nx", ["/bin/bash", "-e -u "]),
        ("#!\n", ["/bin/sh"]),
        ("", ["/bin/sh"]),
    ],
)
def test_the_program_of_a_script(script: str, program: list[str]) -> None:
    """At most one argument follows it, as the kernel has it."""
    assert _command.interpreter(script) == program


def test_the_words_of_a_command() -> None:
    """As they are; behind set-up lines, as the words of a shell that runs these."""
    assert _command.words({"command": ["a", "$b"]}, Path("/s")) == ["a", "$b"]
    assert _command.words({"script": "#!/x\n", "args": ["1"]}, Path("/s")) == ["/x", "/s", "1"]
    shell = _command.words({"command": ["printf", "%s|", "a b", "$HOME"], "setup": ["X='1 2'"]}, Path("/s"))
    assert subprocess.check_output(shell) == b"a b|$HOME|"


def test_programs_that_are_missing(tmp_path: Path) -> None:
    """127 for none, 126 for one that may not be run; a name that is too long is none."""
    (tmp_path / "plain").touch()
    codes = {
        name: (_command.missing([name], "/usr/bin:/bin", tmp_path) or (0,))[0]
        for name in ("sh", "nope", "./plain", "./nope", "/", "x/" * 4000)
    }
    assert codes == {"sh": 0, "nope": 127, "./plain": 126, "./nope": 127, "/": 126, "x/" * 4000: 127}


@pytest.mark.parametrize(
    ("plan", "which", "out", "err"),
    [
        ({}, Which(5, 0, 1), "/h/jobs/5/0/1.log", None),
        ({"error": "e"}, Which(5, 0, 0), "/h/jobs/5/0/0.log", "/w/e"),
        ({"output": "/abs/%j"}, Which(5, 0, 0), "/abs/5", None),
        ({"output": "%x-%j-%A-%a-%%-%z", "name": "a/b"}, Which(5, 0, 2), "/w/a_b-5-5-0-%-%z.2", None),
        ({"output": "%j", "array": 3}, Which(5, 2, 0), "/w/5_2", None),
        ({"output": "o", "array": 3}, Which(5, 2, 1), "/w/o.2.1", None),
        ({"output": "%%a", "array": 3}, Which(5, 2, 0), "/w/%a.2", None),
    ],
)
def test_output_patterns(plan: dict[str, Any], which: Which, out: str, err: str | None) -> None:
    """As Slurm's; every element and attempt has a file of its own."""
    stdout, stderr = files(Home(Path("/h"), "local"), plan, Path("/w"), which)

    assert str(stdout.path) == out
    assert (str(stderr.path) if stderr else None) == err


MOUNTS = """22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
30 22 0:30 / /home rw shared:1 master:2 - nfs4 server:/home rw
31 30 0:31 / /home/me/local\\040disk rw - xfs /dev/sdb rw
32 22 0:32 / /scratch rw - lustre mgs:/scratch rw
33 22 0:33 / /over rw - nfs server:/x rw
34 22 0:34 / /over rw - tmpfs tmpfs rw
35 22 0:35 / /s rw - fuse.sshfs host: rw
a line that is none
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/tmp/x", None),
        ("/home/me", "nfs4"),
        ("/homework", None),
        ("/home/me/local disk/deep/er", None),
        ("/scratch/not/there/yet", "lustre"),
        ("/over/x", None),
        ("/s/x", "fuse.sshfs"),
    ],
)
def test_network_file_systems_are_told(path: str, kind: str | None) -> None:
    """The nearest mount counts, of two on one point the later one."""
    assert network_type(Path(path), MOUNTS) == kind


def test_processes_are_read() -> None:
    """Oneself, a child with a name that holds brackets, one that is gone; a zombie is told."""
    own = _processes.look(os.getpid())
    assert own is not None
    assert (own.parent, own.zombie, own.kernel) == (os.getppid(), False, False)
    mark = uuid.uuid4().hex  # these tests run on several Pythons at the same time
    with subprocess.Popen(["sh", "-c", "echo x; exec sleep 60"], env={"M": mark}, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in [p.pid for p in _processes.descendants(os.getpid())]
        assert [p.pid for p in _processes.carrying([("M", mark)])] == [child.pid]
        assert [p.pid for p in _processes.carrying([], [child.pid])] == [child.pid]
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        zombie = _processes.look(child.pid)
        assert zombie is not None
        assert zombie.zombie
        assert _processes.carrying([], [child.pid]) == []
    assert _processes.look(child.pid) is None


def test_locks_exclude_each_other(tmp_path: Path) -> None:
    """A whole, shares up to their number, and what was given up."""
    locks, holder = Locks(tmp_path, 2), Holder("local://local/1", "nobody/1_0")
    whole = locks.exclusive("G", holder)
    assert whole is not None
    assert locks.exclusive("G", holder) is locks.share("G", holder, 1) is None
    assert locks.in_use("G")
    whole.release()
    shares = [locks.share("G", holder, 1) for _ in range(3)]
    assert [s is not None for s in shares] == [True, True, False]
    assert locks.exclusive("G", holder) is None
    for share in shares[:2]:
        assert share is not None
        share.release()
    assert not locks.in_use("G")


def test_a_holder_lives_in_processes_with_its_mark(tmp_path: Path) -> None:
    """Or with its ref and no mark; one with another mark is another user's job of the same ref."""
    mark = f"{uuid.uuid4().hex}/1_0"  # these tests run on several Pythons at the same time
    holder = Holder(f"local://{mark.partition('/')[0]}/1", mark)
    for env, lives in (
        ({"GPUJOBS_HOLDER": mark}, True),
        ({"GPUJOBS_REF": holder.ref}, True),
        ({"GPUJOBS_REF": holder.ref, "GPUJOBS_HOLDER": "xyz/1_0"}, False),
        ({"GPUJOBS_HOLDER": mark, "GPUJOBS_SUPERVISOR": mark}, False),
    ):
        with subprocess.Popen(["sh", "-c", "echo x; exec sleep 60"], env=env, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            assert [p.pid for p in holder.processes()] == [child.pid] * lives
            locks = Locks(tmp_path, 1)
            (tmp_path / "G.lock").write_bytes(holder.dump())
            hold = locks.exclusive("G", holder)
            assert (hold is None) is lives
            assert locks.left_behind == ({holder} if lives else set())
            if hold is not None:
                hold.release()
            child.kill()


def test_a_holder_is_read_back() -> None:
    """What was noted in this boot; anything else is nobody."""
    holder = Holder("local://local/1", "abc/1_0", "/sys/x-")

    assert Holder.load(holder.dump()) == holder
    assert [
        Holder.load(text) for text in (b"", b"[]", b"null", b"\xff", b'{"boot": "x", "ref": "r", "mark": "m"}')
    ] == [None] * 5


def test_the_lock_directory_is_one_for_all() -> None:
    """Unless the target names another."""
    assert lock_directory("/x/y") == Path("/x/y")
    assert lock_directory(None).name == "gpujobs"


def test_inherited_variables() -> None:
    """By name; ``venv`` puts the active environment first; what is not there is refused by name."""
    environ = {"A": "1", "VIRTUAL_ENV": "/v", "CONDA_PREFIX": "/c", "CONDA_DEFAULT_ENV": "base"}

    assert inherited(["A"], "/bin", environ=environ) == {"A": "1"}
    assert inherited(["venv"], "/bin", environ=environ)["PATH"] == "/v/bin:/bin"
    conda = inherited(["venv"], "/bin", environ={"CONDA_PREFIX": "/c", "CONDA_DEFAULT_ENV": "base"})
    assert conda == {"CONDA_PREFIX": "/c", "CONDA_DEFAULT_ENV": "base", "PATH": "/c/bin:/bin"}
    assert inherited(["PATH", "venv"], "/bin", environ={"PATH": "/p", "VIRTUAL_ENV": "/v"})["PATH"] == "/v/bin:/p"
    with pytest.raises(SpecError, match="B"):
        inherited(["B"], "/bin", environ=environ)
