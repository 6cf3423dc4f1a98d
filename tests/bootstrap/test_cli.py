"""The commands as a user meets them: words, exit codes, two lines of error."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gpujobs.bootstrap._cli import app, doctor
from gpujobs.cli import main

GONE = ("--host", "root@nowhere.invalid", "--ssh-option=-oProxyCommand=false")


def gpujobs(*words: str) -> subprocess.CompletedProcess[str]:
    """Run ``gpujobs bootstrap WORDS`` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "gpujobs.bootstrap", *words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("verb", ["plan", "apply", "verify", "undo"])
def test_a_host_that_is_gone_is_two_lines(verb: str) -> None:
    """What is wrong, on what, and what to do next; exit code 1 and no traceback."""
    ended = gpujobs("slurm", verb, *GONE)

    assert (ended.returncode, ended.stdout) == (1, "")
    first, second = ended.stderr.splitlines()
    assert first.startswith("error: root@nowhere.invalid cannot be reached over ssh")
    assert second == "Make `ssh root@nowhere.invalid true` work without a question, and run this again."


COMMANDS = (
    *(f"slurm {verb}" for verb in ("plan", "apply", "verify", "undo", "nodes add root@n", "nodes remove root@n")),
    *(f"microk8s {verb}" for verb in ("plan", "apply", "join root@n", "verify", "undo")),
    *(f"gpu-operator {verb}" for verb in ("plan --set a.b=1", "apply", "verify --pod-timeout 9", "undo")),
    *(f"gpu-sharing {verb}" for verb in ("plan --time-slice 2", "apply --mps 2", "verify", "undo")),
)


@pytest.mark.parametrize("json_", [(), ("--json",)])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_that_its_machine_is_gone(
    command: str, json_: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    """Each takes the options that name a machine, and nothing is printed for a program that reads the answer."""
    code = main(["bootstrap", *command.split(), *GONE, *json_])

    out, err = capfd.readouterr()
    assert (code, out, len(err.splitlines())) == (1, "", 2)
    assert err.startswith("error: root@nowhere.invalid cannot be reached over ssh")


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--partition", "a b"), "--partitions.0"),
        (("--memory-reserve", "4G"), "--memory-reserve"),
        (("--shards", "-1"), "--shards"),
    ],
)
def test_a_wrong_value_is_a_wrong_usage(words: tuple[str, ...], field: str) -> None:
    """Exit code 2 and the option's name."""
    ended = gpujobs("slurm", "plan", *words)

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {field}: ")
    assert len(ended.stderr.splitlines()) == 2


def test_an_unknown_option_is_a_wrong_usage() -> None:
    """As everywhere."""
    assert gpujobs("slurm", "plan", "--no-such-option").returncode == 2


def test_the_parts_are_listed() -> None:
    """A user finds the verbs by asking for help."""
    shown = CliRunner().invoke(app, ["slurm", "--help"])

    assert shown.exit_code == 0
    assert all(verb in shown.output for verb in ("plan", "apply", "verify", "undo", "nodes"))


def test_undo_without_a_cluster_is_no_failure() -> None:
    """Where nothing was set up there is nothing to take back; to prove it is a failure."""
    ended = gpujobs("slurm", "undo", "--yes")
    proved = gpujobs("slurm", "verify")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "No bootstrap of gpujobs has set up Slurm on localhost: nothing is to be taken back.\n"
    assert json.loads(gpujobs("slurm", "undo", "--yes", "--json").stdout) == {"undone": [], "kept": []}
    assert proved.returncode == 1
    assert proved.stderr.splitlines() == [
        "error: No bootstrap of gpujobs has set up Slurm on localhost.",
        "Run `gpujobs bootstrap slurm plan` to see what one would do.",
    ]


def test_the_doctor_is_a_command_too() -> None:
    """The main program mounts it as ``gpujobs doctor``."""
    argv = [sys.executable, "-m", "gpujobs.cli", "doctor", *GONE, "--json"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "cannot be reached" in ended.stderr
    assert doctor.help is not None


def test_without_a_terminal_nobody_is_asked() -> None:
    """A question in a script would hang, or be answered by the next line of input."""
    code = "from gpujobs.bootstrap._cli_output import confirm; confirm('Really?', yes=False)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )

    assert "Give --yes to go on without a question." in ended.stderr
    assert json.dumps(ended.stdout) == '""'
