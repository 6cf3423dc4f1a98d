"""What a job is given: words, scripts, files, secrets, environment, ranks."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpujobs import ConflictError, GpuJob, PreflightError, RejectedError, Secret, SpecError, State

if TYPE_CHECKING:
    from tests.contract.local.conftest import Bench, MakeBench

HOSTILE = (
    "it's",
    'a "b"',
    "$(id) `id` $HOME",
    "%j %% %s",
    "new\nline\ttab",
    "\U0001f680 \u05e2\u05d1",
    "-rf",
    "a" * 200,
)


def test_files_have_hostile_names_and_contents(bench: Bench) -> None:
    """Names and bytes arrive as they were, in directories of their own; the owner alone may read them."""
    files = {name: name.encode() * 3 for name in HOSTILE} | {"deep/er/raw": bytes(range(256)), "\u00fc/%a": b""}
    program = (
        "import os, sys; d = os.environ['GPUJOBS_FILES']; names = sys.argv[1:]\n"
        "for n in names: print(open(os.path.join(d, n), 'rb').read().hex())\n"
        "print(oct(os.stat(d).st_mode & 0o777))"
    )
    job = bench.client.submit([sys.executable, "-c", program, *files], files=files)

    assert job.wait(timeout=60).succeeded, bench.text(job)
    assert bench.text(job) == [*(content.hex() for content in files.values()), "0o700"]


@pytest.mark.parametrize("files", [{"x" * 300: b""}, {"a": b"1", "a/b": b"2"}, {".": b""}])
def test_a_file_name_that_cannot_be_is_refused(bench: Bench, files: dict[str, bytes]) -> None:
    """One error about the name, nothing left; the next submission is taken."""
    with pytest.raises(RejectedError, match="files"):
        bench.submit("true", files=files)

    assert bench.client.list_jobs(finished=True) == []
    assert bench.run("true")[1].succeeded


def test_a_secret_is_for_the_jobs_eyes(bench: Bench) -> None:
    """In its environment; on disk in one 0600 file until the end; nowhere in records, logs or command lines."""
    value = "s3cr3t-\U0001f680-v4lu3"
    job = bench.submit('printf %s "$TOKEN" | wc -c; exec sleep 600', secrets=[Secret("TOKEN", value)])
    bench.says(job, str(len(value.encode())))

    def holds(path: Path) -> bool:
        with suppress(FileNotFoundError):  # it is there for a moment only
            return path.is_file() and any(part in path.read_bytes() for part in (b"s3cr3t-", b"v4lu3"))
        return False

    def holding() -> list[Path]:
        paths = [Path(folder, name) for folder, _, names in os.walk(bench.directory) for name in names]
        return [path for path in paths if holds(path)]

    (kept,) = holding()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):  # a process may have ended
                assert b"s3cr3t-" not in (entry / "cmdline").read_bytes()
    job.cancel()
    job.wait(timeout=60)
    bench.until(lambda: not holding())


@pytest.mark.parametrize("how", ["cancelled", "failed upstream", "killed supervisor"])
def test_a_secret_goes_however_the_job_ends(bench: Bench, how: str) -> None:
    """Also where no supervisor of it is there to see the end."""
    secret = Secret("TOKEN", "s3cr3t")
    if how == "failed upstream":
        job = bench.submit("true", after=[bench.submit("exit 1")], secrets=[secret])
    else:
        job = bench.submit("exec sleep 600", gpus=4, secrets=[secret], grace=1)
    if how == "cancelled":
        waits = bench.submit("true", gpus=1, secrets=[secret])
        waits.cancel()
        job.cancel()
    elif how == "killed supervisor":
        os.kill(bench.supervisor(job), 9)
    job.wait(timeout=60)

    bench.until(lambda: not list((bench.home / "private").iterdir()))


def test_nothing_of_the_callers_environment_leaks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job has what its model says and the variables that every job has."""
    monkeypatch.setenv("LEAK", "1")
    monkeypatch.setenv("PYTHONPATH", "/leak")
    job, _ = bench.run("env | cut -d= -f1 | sort", env={"MINE": "a\nb"})

    names = {name for name in bench.text(job) if name.isupper()}
    assert "MINE" in names
    ours = {name for name in names if name.startswith("GPUJOBS_")}
    assert names - ours - {"MINE"} == {
        *("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "HOME", "LANG", "LOGNAME", "MASTER_ADDR", "MASTER_PORT"),
        *("PATH", "PWD", "SHELL", "USER"),
    }


def test_inherited_variables_arrive(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, bytes that are no UTF-8 included; one that is not set is refused."""
    monkeypatch.setenv("TOKEN", os.fsdecode(b"raw \xff \n end"))
    job = bench.submit('printf %s "$TOKEN" | od -An -tx1', inherit_env=["TOKEN"])

    assert job.wait(timeout=60).succeeded
    assert bytes.fromhex("".join(bench.text(job))) == b"raw \xff \n end"
    with pytest.raises(SpecError, match="ABSENT"):
        bench.submit("true", inherit_env=["ABSENT"])


def test_the_active_environment_is_inherited(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``venv`` puts its programs first."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    program = tmp_path / "venv/bin/only-here"
    program.write_text("#!/bin/sh\necho from $VIRTUAL_ENV\n")
    program.chmod(0o755)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    job = bench.client.submit(["only-here"], inherit_env=["venv"])

    assert job.wait(timeout=60).succeeded
    assert bench.text(job) == [f"from {tmp_path / 'venv'}"]
    assert bench.client.submit(["only-here"]).wait(timeout=60).exit_code == 127


@pytest.mark.parametrize(
    ("first", "said"), [("", "sh"), ("#!/bin/bash\n", "bash"), (f"#!{sys.executable} -E\n", "python"), ("#!\n", "sh")]
)
def test_a_script_runs_under_the_program_of_its_first_line(bench: Bench, first: str, said: str) -> None:
    """Or under ``sh``; its args follow."""
    body = {
        "sh": 'echo sh "$@"',
        "bash": 'echo ${BASH_VERSION:+bash} "$@"',
        "python": "import sys; print('python', *sys.argv[1:])",
    }[said]
    job = bench.client.submit(GpuJob(script=f"{first}{body}\n", args=["a b", "$x"]))

    assert job.wait(timeout=60).succeeded, bench.text(job)
    assert bench.text(job) == [f"{said} a b $x"]


def test_setup_runs_first_and_can_fail(bench: Bench) -> None:
    """Its variables are there; a line that fails ends the job with its code, the command unrun."""
    job, _ = bench.run('echo "$A $0 $1"', "x y", setup=["export A='from setup'"])
    assert bench.text(job) == ["from setup sh x y"]

    failed, status = bench.run("echo ran", setup=["(exit 9)", "echo on"])
    assert status.exit_code == 9
    assert bench.text(failed) == []


def test_processes_of_a_task_know_their_ranks(bench: Bench) -> None:
    """Three processes, one rendezvous."""
    script = (
        'echo "$GPUJOBS_LOCAL_RANK $GPUJOBS_RANK $GPUJOBS_WORLD_SIZE $GPUJOBS_NODES $GPUJOBS_NODE_RANK '
        '$MASTER_ADDR:$MASTER_PORT"'
    )
    job, _ = bench.run(script, tasks_per_node=3)

    lines = sorted(bench.text(job))
    assert [line.rpartition(" ")[0] for line in lines] == [f"{i} {i} 3 1 0" for i in range(3)]
    (address,) = {line.rpartition(" ")[2] for line in lines}
    assert address.startswith("127.0.0.1:")
    assert int(address.split(":")[1]) > 0


def test_the_first_process_that_fails_ends_the_others(bench: Bench) -> None:
    """Its exit code is the job's."""
    job, status = bench.run("test $GPUJOBS_RANK = 1 && exit 7; exec sleep 600", tasks_per_node=3, grace=1)

    assert (status.state, status.exit_code) == (State.FAILED, 7)
    bench.until(lambda: not bench.processes(job))


def test_it_runs_where_it_was_submitted_or_in_its_workdir(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative workdir is seen from there; the umask comes along."""
    where = tmp_path / "it's \u00fc\n$x"
    (where / "sub").mkdir(parents=True)
    monkeypatch.chdir(where)
    before = os.umask(0o027)
    try:
        jobs = [bench.run("touch made; pwd -P")[0], bench.run("pwd -P", workdir="sub")[0]]
    finally:
        os.umask(before)

    assert ["\n".join(bench.text(job)) for job in jobs] == [str(where), str(where / "sub")]
    assert stat.S_IMODE((where / "made").stat().st_mode) == 0o640


@pytest.mark.parametrize("workdir", ["/nowhere/at/all", "~nobody-of-that-name/x", "y" * 5000])
def test_a_workdir_that_is_not_there(bench: Bench, workdir: str) -> None:
    """Preflight refuses it by name; without preflight the job FAILS and says so."""
    with pytest.raises(PreflightError, match="workdir"):
        bench.submit("true", workdir=workdir)
    status = bench.client.submit(GpuJob(command=["true"], workdir=workdir), preflight=False).wait(timeout=60)

    assert (status.state, status.exit_code) == (State.FAILED, 126)
    assert "working directory" in str(status.reason)


@pytest.mark.parametrize("program", ["no-such-program", "/no/such", "./x" * 3000])
def test_a_program_that_is_not_there_ends_with_127(bench: Bench, program: str) -> None:
    """The reason names it and says why a job's PATH is not the caller's."""
    status = bench.client.submit([program]).wait(timeout=60)

    assert (status.state, status.exit_code) == (State.FAILED, 127)
    assert program in str(status.reason)
    assert "inherit_env" in (status.reason.next if status.reason else "")


def test_a_program_that_cannot_be_executed_ends_with_126(bench: Bench, tmp_path: Path) -> None:
    """A file without the mode, a directory."""
    (tmp_path / "plain").write_text("x")

    codes = [bench.client.submit([str(p)]).wait(timeout=60).exit_code for p in (tmp_path / "plain", tmp_path)]
    assert codes == [126, 126]


@pytest.mark.parametrize("where", ["args", "env", "setup"])
def test_ten_megabytes_in_one_text_are_refused(bench: Bench, where: str) -> None:
    """With the way out; without preflight the job FAILS with the system's own words."""
    text = "x" * (10 << 20)
    fields = {"args": {"args": [text]}, "env": {"env": {"BIG": text}}, "setup": {"setup": [f": {text}"]}}[where]
    spec = GpuJob(command=["true"], **fields)  # type: ignore[arg-type]
    with pytest.raises(PreflightError, match=where if where != "args" else "command") as caught:
        bench.client.submit(spec)
    assert "files=" in caught.value.next_step

    status = bench.client.submit(spec, preflight=False).wait(timeout=60)
    assert (status.state, status.exit_code) == (State.FAILED, 126)
    assert "Argument list too long" in str(status.reason)


def test_a_secret_that_no_variable_can_hold_is_refused(bench: Bench) -> None:
    """Before anything is written down, and without repeating it."""
    with pytest.raises(SpecError, match="TOKEN has 200000 bytes") as caught:
        bench.submit("true", secrets=[Secret("TOKEN", "s3cr3t-" + "x" * 199_993)])

    assert "s3cr3t" not in str(caught.value)
    assert "files=" in caught.value.next_step


def test_a_hostile_state_directory_and_name(make_bench: MakeBench) -> None:
    """Spaces, quotes, question marks and newlines in the path of the records; the same in the name."""
    bench = make_bench(name="it's a ?mode=ro#%41\n$(x) \u00fc")
    job, status = bench.run("echo hi", name="na\nme '$(x)' %j", output="%x-%j.txt", workdir=str(bench.directory.parent))

    assert status.succeeded
    assert status.name == "na\nme '$(x)' %j"
    assert bench.text(job) == ["hi"]
    assert (bench.directory.parent / f"na\nme '$(x)' %j-{job.ref.id}.txt").read_text() == "hi\n"


def test_a_key_means_one_workload(bench: Bench) -> None:
    """Another one under it is a conflict; deleting the first frees it."""
    job = bench.submit("exit 0", idempotency_key="k")
    assert bench.submit("exit 0", idempotency_key="k").ref == job.ref
    with pytest.raises(ConflictError, match=str(job.ref)):
        bench.submit("exit 1", idempotency_key="k")
    job.wait(timeout=60)
    job.delete()

    assert bench.submit("exit 1", idempotency_key="k").wait(timeout=60).exit_code == 1
