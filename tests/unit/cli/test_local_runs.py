"""The installed program on the local backend: real processes, logs, signals and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = [sys.executable, "-m", "gpujobs.cli"]
HOSTILE = ["a b", "'", '"', "$(exit 9)", "`x`", "%s", "\\", "-x", "--", "--help", "é🙂\u202e", "line\nbreak", "", "*"]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A state directory of its own and four simulated GPUs."""
    config = tmp_path / "gpujobs.toml"
    config.write_text('[targets.local]\nbackend = "local"\ngpus = 4\n')
    keep = {k: v for k, v in os.environ.items() if not k.startswith("GPUJOBS_")}
    return keep | {"GPUJOBS_STATE_DIR": str(tmp_path / "state"), "GPUJOBS_CONFIG": str(config)}


@pytest.fixture
def gpujobs(env: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one command line to its end."""

    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *words], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return ran


@pytest.mark.parametrize(
    ("words", "code", "out"),
    [
        (["--", "sh", "-c", "echo hi; echo err >&2; exit 3"], 3, "hi\nerr\n"),
        (["--", "sh", "-c", "kill -9 $$"], 137, ""),
        (["--", "true"], 0, ""),
        (["--time", "1s", "--grace", "1s", "--", "sleep", "60"], 124, ""),
        (["--gpus", "2", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES"], 0, "0,1\n"),
        (["--env", "A=x y", "--", "sh", "-c", 'printf %s "$A"'], 0, "x y"),
        (["--gpus", "5", "--", "true"], 125, ""),
        (["--workdir", "/no/such/place", "--", "true"], 125, ""),
    ],
)
def test_run(gpujobs: Callable[..., subprocess.CompletedProcess[str]], words: list[str], code: int, out: str) -> None:
    """What the job wrote, in the order it wrote it, and its exit code."""
    ran = gpujobs("run", *words)

    assert (ran.returncode, ran.stdout) == (code, out)


def test_log_is_byte_for_byte(env: dict[str, str]) -> None:
    """Returns, escapes, invalid UTF-8 and a missing last line end come through."""
    words = ["run", "-q", "--", "printf", r"1%%\r2%%\r\n\033[2J\377\000x"]

    ran = subprocess.run([*PROGRAM, *words], env=env, capture_output=True, timeout=120, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"1%\r2%\r\n\x1b[2J\xff\0x", b"")


def test_command_that_does_not_exist_is_127(gpujobs: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """As a shell would say it, and stderr says which program."""
    ran = gpujobs("run", "--", "no-such-program")

    assert ran.returncode == 127
    assert "no-such-program" in ran.stderr


def test_hostile_words_arrive(gpujobs: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Every word arrives byte for byte."""
    show = "import sys, json; print(json.dumps(sys.argv[1:]))"

    ran = gpujobs("run", "--", sys.executable, "-c", show, *HOSTILE)

    assert json.loads(ran.stdout) == HOSTILE


def test_array_is_told_apart(gpujobs: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Each line carries its index, and one failure fails the whole with 1."""
    ran = gpujobs("run", "--array", "3", "--", "sh", "-c", "echo at $GPUJOBS_ARRAY_INDEX; exit $GPUJOBS_ARRAY_INDEX")

    assert ran.returncode == 1
    assert sorted(ran.stdout.splitlines()) == ["[0] at 0", "[1] at 1", "[2] at 2"]


def test_lines_come_as_they_are_written(env: dict[str, str], tmp_path: Path) -> None:
    """A progress bar without line ends reaches the reader while the job runs: it goes on once its start was read."""
    go = tmp_path / "go"
    script = "printf 'one\\r'; until [ -e \"$1\" ]; do sleep 0.1; done; printf 'two\\r'"
    words = ["run", "-q", "--time", "5m", "--", "sh", "-c", script, "sh", str(go)]
    with subprocess.Popen([*PROGRAM, *words], env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = os.read(process.stdout.fileno(), 100)
        go.touch()
        rest = os.read(process.stdout.fileno(), 100)

    assert (first, rest, process.returncode) == (b"one\r", b"two\r", 0)


def test_ctrl_c_leaves_the_job_running(
    env: dict[str, str], gpujobs: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """The whole process group is interrupted, as a terminal does it; the job goes on and can be followed again."""
    go = tmp_path / "go"
    script = 'echo started; until [ -e "$1" ]; do sleep 0.1; done; echo done'
    words = ["run", "--", "sh", "-c", script, "sh", str(go)]
    process = subprocess.Popen(
        [*PROGRAM, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"

    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)

    assert process.returncode == 130
    go.touch()
    ref = err.split()[-1]
    assert gpujobs("wait", "-q", ref).returncode == 0
    assert gpujobs("logs", "-f", ref).stdout == "started\ndone\n"


def test_ctrl_c_cancels_if_so_wished(
    env: dict[str, str], gpujobs: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """With ``--on-interrupt cancel`` the job is gone when the command line is."""
    words = ["run", "--on-interrupt", "cancel", "--", "sh", "-c", "echo started; exec sleep 600"]
    process = subprocess.Popen(
        [*PROGRAM, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"

    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)

    assert process.returncode == 130
    assert [s["state"] for s in json.loads(gpujobs("ps", "--all", "--json").stdout)] == ["CANCELLED"]


def test_the_life_of_a_job(gpujobs: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """submit, status, exec, cancel, wait, logs, explain, delete: each says what the others have done."""
    (tmp_path / "job.toml").write_text('command = ["sh", "-c", "echo $GREETING; exec sleep 600"]\nname = "life"\n')
    ref = gpujobs("submit", "job.toml", "--env", "GREETING=hello").stdout.strip()
    assert gpujobs("wait", ref, "--timeout", "1s").returncode == 125
    end = time.monotonic() + 60
    while gpujobs("logs", ref).stdout != "hello\n":
        assert time.monotonic() < end
    assert json.loads(gpujobs("status", "--json", ref).stdout)["state"] == "RUNNING"
    assert gpujobs("exec", ref, "--", "sh", "-c", "echo inside; exit 5").returncode == 5

    assert gpujobs("cancel", ref).stdout == f"{ref}\n"
    assert gpujobs("wait", "-q", ref).returncode == 130
    assert gpujobs("logs", ref).stdout == "hello\n"
    assert gpujobs("explain", ref).stdout.startswith(f"{ref} CANCELLED")
    assert gpujobs("delete", ref).returncode == 0
    assert json.loads(gpujobs("status", "--json", ref).stdout)["state"] == "LOST"


def test_dry_run_makes_nothing(gpujobs: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """Rendering leaves no job behind."""
    ran = gpujobs("run", "--dry-run", "--", "true")

    assert ran.returncode == 0
    assert "true" in ran.stdout
    assert json.loads(gpujobs("ps", "--all", "--json").stdout) == []
    assert tmp_path.exists()


def test_targets_check_and_show(gpujobs: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """The local target proves itself, and shows what it takes."""
    assert gpujobs("targets", "check", "local").returncode == 0
    shown = json.loads(gpujobs("targets", "show", "local", "--json").stdout)
    assert (shown["options"], "lock_dir" in shown["takes"]) == ({"gpus": 4}, True)


def test_a_ref_that_stdout_does_not_take_is_told_on_stderr(env: dict[str, str], tmp_path: Path) -> None:
    """The job runs, so its ref must not be lost with a full disk."""
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [*PROGRAM, "submit", "--", "true"],
            env=env,
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[0] == "gpujobs: submitted local://local/1"
