"""``run``: the log on stdout, the state on stderr, and the exit code of the job."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from gpujobs import GpuService, Reason, Ref, State, Status
from gpujobs.cli._exits import exit_code, exit_code_of_all
from gpujobs.reasons import Cause
from gpujobs.specs import GpuJob

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli

REF = Ref("memory", "memory", "1")


@pytest.mark.parametrize(("code", "expected"), [("0", 0), ("1", 1), ("3", 3), ("77", 77), ("137", 137), ("255", 255)])
def test_exits_with_the_exit_code_of_the_job(cli: Cli, code: str, expected: int) -> None:
    """The job's own exit code, and 128+n for signal n."""
    assert cli("run", "--", "work", code).code == expected


def test_time_limit_is_124(cli: Cli) -> None:
    """A job that ran into its time limit exits 124."""
    ran = cli("run", "--time", "5s", "--", "work", "0", "60")

    assert ran.code == 124
    assert "time limit" in ran.err


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status(REF, State.SUCCEEDED, exit_code=0), 0),
        (Status(REF, State.CANCELLED), 130),
        (Status(REF, State.CANCELLED, signal=15), 130),
        (Status(REF, State.FAILED, exit_code=5), 5),
        (Status(REF, State.FAILED, signal=9), 137),
        (Status(REF, State.FAILED, signal=15, reason=Cause(Reason.TIMEOUT, "late")), 124),
        (Status(REF, State.FAILED, reason=Cause(Reason.DEADLINE, "late")), 124),
        (Status(REF, State.FAILED, exit_code=0, reason=Cause(Reason.OOM, "memory")), 1),
        (Status(REF, State.FAILED, reason=Cause(Reason.NODE_FAIL, "gone")), 1),
        (Status(REF, State.LOST), 1),
    ],
)
def test_exit_code_of_each_end(status: Status, expected: int) -> None:
    """The table of exit codes, row by row; no failure is 0."""
    assert exit_code(status) == expected


def test_exit_code_of_several() -> None:
    """0 only if all succeeded."""
    good, bad = Status(REF, State.SUCCEEDED), Status(REF, State.FAILED, exit_code=9)

    assert [exit_code_of_all(s) for s in ([good, good], [good, bad], [bad])] == [0, 1, 9]


def test_log_goes_to_stdout_byte_for_byte(cli: Cli) -> None:
    """Progress bars, escapes and a missing last newline reach a pipe unchanged."""
    text = "10%\r20%\r\n\x1b]0;title\x07\x1b[31mred\x1b[0m\nno end"

    ran = cli("run", "--env", f"OUT={text}", "--", "work")

    assert ran.out == text


def test_states_go_to_stderr(cli: Cli) -> None:
    """The ref first, the end last, and nothing of it on stdout."""
    ran = cli("run", "--", "work", "3")

    assert ran.out == "hello\n"
    assert ran.error_lines[0] == "gpujobs: submitted memory://memory/1"
    assert ran.error_lines[-1].startswith("gpujobs: memory://memory/1 FAILED: ")
    assert "exit code 3" in ran.error_lines[-1]


def test_quiet_says_nothing(cli: Cli) -> None:
    """``--quiet`` leaves stderr empty."""
    assert cli("run", "-q", "--", "work", "3").err == ""


def test_detach_prints_the_ref_alone(cli: Cli) -> None:
    """``--detach`` returns at once with the ref on stdout."""
    ran = cli("run", "--detach", "--", "work", "3")

    assert (ran.code, ran.out, ran.err) == (0, "memory://memory/1\n", "")
    assert cli.client.status("memory://memory/1").state is State.RUNNING


def test_dashes_may_be_left_out(cli: Cli) -> None:
    """The first word that is no option begins the command; the words after it are the command's."""
    ran = cli("run", "--detach", "python", "--gpus", "3", "--", "x")

    assert ran.code == 0
    assert cli.backend.specs[0].command == ("python", "--gpus", "3", "--", "x")


def test_words_after_dashes_arrive_unchanged(cli: Cli) -> None:
    """Hostile words are only words."""
    words = ("a b", "$(x)", "'\"", "-x", "--help", "%s", "é🙂", "\n")

    ran = cli("run", "--detach", "--", "python", *words)

    assert ran.code == 0
    assert cli.backend.specs[0].command == ("python", *words)


def test_json_is_the_final_status_alone(cli: Cli) -> None:
    """With ``--json`` stdout is one object, the final status; the log goes to stderr."""
    ran = cli("run", "--json", "--", "work", "3")

    assert ran.code == 3
    assert json.loads(ran.out) == cli.client.status("memory://memory/1").to_dict()
    assert "hello\n" in ran.err


def test_dry_run_prints_what_would_be_sent(cli: Cli) -> None:
    """``--dry-run`` prints the rendering and submits nothing."""
    job = GpuJob(command=["work"], env={"A": "1"})

    ran = cli("run", "--dry-run", "--idempotency-key", "k", "--env", "A=1", "--", "work")

    assert (ran.code, ran.out) == (0, cli.client.render(job, "memory", idempotency_key="k"))
    assert cli.backend.specs == []


def test_copies_are_told_apart(cli: Cli) -> None:
    """Lines of a workload with several copies carry the copy's number."""
    ran = cli("run", "--nodes", "2", "--", "work")

    assert ran.out == "[0] hello\n"


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "--"],
        ["run", "--no-such-option", "x"],
        ["run", "--time", "90", "--", "x"],
        ["run", "--memory", "16G", "--", "x"],
        ["run", "--gpus", "99", "--", "x"],
        ["run", "--target", "nowhere", "--", "x"],
        ["run", "--env", "A=\ud800", "--", "x"],
        ["run", "--idempotency-key", "", "--", "x"],
        ["run", "--detach", "--on-interrupt", "ask", "--", "x"],
        ["run", "--on-interrupt", "explode", "--", "x"],
        ["run", "--on-interrupt"],
        ["run", "--", ""],
    ],
)
def test_what_gpujobs_itself_refuses_is_125(cli: Cli, words: list[str]) -> None:
    """Usage errors and refusals exit 125 with two lines on stderr and nothing on stdout."""
    ran = cli(*words)

    assert (ran.code, ran.out, len(ran.error_lines)) == (125, "", 2)
    assert ran.error_lines[0].startswith("Error: ")
    assert ran.error_lines[1].startswith("Next: ")
    assert len(ran.error_lines[1]) > len("Next: ")


def test_runs_outside_the_main_thread(cli: Cli) -> None:
    """A tool that embeds the command line may call it from any thread."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(cli("run", "--", "work", "3").code))

    thread.start()
    thread.join()

    assert codes == [3]


def test_same_key_finds_the_first(cli: Cli) -> None:
    """A key given twice runs one job; another workload under it is a conflict."""
    first = cli("run", "--idempotency-key", "k", "--", "work")
    again = cli("run", "--idempotency-key", "k", "--", "work")
    other = cli("run", "--idempotency-key", "k", "--", "other")

    assert (first.code, again.code, other.code) == (0, 0, 125)
    assert again.error_lines[0] == first.error_lines[0]
    assert "memory://memory/1" in other.error_lines[0]


def test_service_options_make_a_service(cli: Cli) -> None:
    """``--replicas``, ``--port`` or ``--service`` make it a GpuService."""
    ran = cli("run", "--detach", "--name", "api", "--replicas", "2", "--port", "80", "--", "serve")

    assert ran.out == "memory://memory/service/api\n"
    spec = cli.backend.specs[0]
    assert isinstance(spec, GpuService)
    assert (spec.replicas, spec.ports[0].port) == (2, 80)
