"""The commands as a user meets them: words, exit codes, two lines of error."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gpujobs.bootstrap import Completed
from gpujobs.bootstrap._cli import app, doctor
from gpujobs.bootstrap._cli_options import command, yes
from gpujobs.bootstrap._cli_output import confirm
from gpujobs.bootstrap.errors import CommandFailedError
from gpujobs.cli import main
from gpujobs.cli._errors import Misuse

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
    assert first.startswith("Error: root@nowhere.invalid cannot be reached over ssh")
    assert second == "Next: Make `ssh root@nowhere.invalid true` work without a question, and run this again."


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
    assert err.startswith("Error: root@nowhere.invalid cannot be reached over ssh")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("slurm plan --partition ok --partition a/b", "--partition: String should match pattern"),
        ("slurm plan --memory-reserve 4G", "--memory-reserve: '4G' is ambiguous"),
        ("slurm plan --shards -1", "--shards: Input should be greater than or equal to 0 (given: -1)."),
        ("slurm apply --autodetect maybe", "--autodetect: Input should be 'off' or 'nvidia' (given: 'maybe')."),
        ("slurm apply --max-time 4x --cluster ?", "--max-time: '4x' is not a time"),
        ("microk8s plan --addon -x", "--addon: '-x' is not the name of an addon"),
    ],
)
def test_a_wrong_value_is_a_wrong_usage(words: str, told: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, the option by its name, what it may be, and where to read more."""
    code = main(["bootstrap", *words.split()])

    first, second = capfd.readouterr().err.splitlines()
    assert code == 2
    assert told in first
    assert first.startswith("Error: --")
    assert second == f"Next: See `gpujobs bootstrap {' '.join(words.split()[:2])} --help`."


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
        "Error: No bootstrap of gpujobs has set up Slurm on localhost.",
        "Next: Run `gpujobs bootstrap slurm plan` to see what one would do.",
    ]


def test_undo_of_microk8s_that_was_never_set_up_is_no_failure(capfd: pytest.CaptureFixture[str]) -> None:
    """As with Slurm."""
    assert main(["bootstrap", "microk8s", "undo", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"undone": [], "kept": []}


@pytest.mark.parametrize("host", ["", " ", "-v"])
def test_a_host_that_is_none_is_a_wrong_usage(host: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither an empty variable of a script nor an option that lost its place is handed to ssh."""
    assert main(["bootstrap", "slurm", "plan", f"--host={host}"]) == 2
    assert capfd.readouterr().err.startswith(f"Error: --host: {host!r} is no machine.")


def test_the_doctor_is_a_command_too() -> None:
    """The main program mounts it as ``gpujobs doctor``."""
    argv = [sys.executable, "-m", "gpujobs.cli", "doctor", *GONE, "--json"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "cannot be reached" in ended.stderr
    assert doctor.help is not None


def test_without_a_terminal_nobody_is_asked(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A question in a script would hang, or be answered by the next line of input."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    with pytest.raises(Misuse) as caught:
        confirm("Really?", yes=False)

    assert caught.value.message == "Really? There is no terminal to ask."
    assert caught.value.next_step == "Give --yes to go on without a question."
    assert capfd.readouterr() == ("", "")


@command("gpujobs bootstrap try")
@yes
def attempt(*, yes: bool) -> None:
    """Fail as a step on a machine does, or be interrupted."""
    if yes:
        raise KeyboardInterrupt
    completed = Completed(("apt-get", "install"), 100, b"Reading package lists...\n", b"E: no such package\n")
    raise CommandFailedError("gpu01", completed)


def test_what_a_command_printed_comes_before_its_error(capfd: pytest.CaptureFixture[str]) -> None:
    """Its last lines, and then the same two lines as everywhere."""
    with pytest.raises(CommandFailedError):
        attempt.main([], standalone_mode=False)

    assert capfd.readouterr().err.splitlines() == ["  | Reading package lists...", "  | E: no such package"]


def test_an_interrupted_run_says_how_it_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing was submitted: what counts is that the same command may be run again."""
    code = attempt.main(["--yes"], standalone_mode=False)

    assert code == 130
    assert "run the same command again and it goes on from there" in capfd.readouterr().err
