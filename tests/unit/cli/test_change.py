"""``cancel delete gc exec scale restart update``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gpujobs import State

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Cli

API = "memory://memory/service/api"


def test_cancel_ends_and_keeps(cli: Cli, ref: str) -> None:
    """The refs are printed, the record stays, and cancelling again is no error."""
    assert (cli("cancel", ref).out, cli.client.status(ref).state) == (f"{ref}\n", State.CANCELLED)
    assert json.loads(cli("cancel", "--json", ref).out) == [ref]


def test_cancel_of_several_cancels_those_it_can(cli: Cli, ref: str) -> None:
    """An unknown one is a failure, and the others are cancelled all the same."""
    ran = cli("cancel", "memory://memory/9", ref)

    assert (ran.code, len(ran.error_lines)) == (1, 2)
    assert cli.client.status(ref).state is State.CANCELLED


def test_delete_refuses_what_runs(cli: Cli, ref: str) -> None:
    """A running job is refused; a finished one is forgotten."""
    refused = cli("delete", ref)
    assert (refused.code, refused.error_lines) == (1, [f"Error: {ref} still runs.", "Next: Cancel it first."])
    cli("wait", ref)

    assert cli("delete", ref).out == f"{ref}\n"
    assert cli.client.status(ref).state is State.LOST


def test_gc_removes_what_ended_long_ago(cli: Cli, ref: str) -> None:
    """``--dry-run`` prints what would go; without it that goes; the age is required and has a unit."""
    cli("wait", ref)
    cli.backend.clock.sleep(3600)
    young = cli("submit", "--", "work").out.strip()
    cli("wait", young)

    assert cli("gc", "--older-than", "30m", "--dry-run").out == f"{ref}\n"
    assert cli.client.status(ref).state is State.FAILED
    assert set(cli("gc", "--older-than", "0s", "--dry-run").out.split()) == {ref, young}
    assert json.loads(cli("gc", "--older-than", "30m", "--json").out) == [ref]
    assert cli.client.status(ref).state is State.LOST
    assert cli.client.status(young).state is State.SUCCEEDED
    assert (cli("gc").code, cli("gc", "--older-than", "7").code) == (2, 2)


def test_exec_passes_output_and_exit_code(cli: Cli, ref: str) -> None:
    """Stdout and stderr of the command come through, its exit code is ours."""
    ran = cli("exec", ref, "--replica", "2", "--", "nvidia-smi", "-L")

    assert (ran.code, ran.out, ran.err) == (7, "out\n", "err\n")
    assert cli.backend.done == [("exec", ref, ("nvidia-smi", "-L"), 2, None)]


def test_exec_reads_stdin_only_if_asked(cli: Cli, ref: str) -> None:
    """``--stdin`` passes the bytes on."""
    cli("exec", ref, "-i", "--", "cat", stdin=b"\0x")

    assert cli.backend.done == [("exec", ref, ("cat",), 0, b"\0x")]


def test_exec_without_a_command_is_usage(cli: Cli, ref: str) -> None:
    """Missing words, or words before --, exit 2 and say how to write it."""
    assert f"`gpujobs exec {ref} -- nvidia-smi`" in cli("exec", ref).error_lines[1]
    assert [cli("exec", ref).code, cli("exec", ref, "--").code, cli("exec", ref, "ls").code] == [2, 2, 2]
    assert cli.backend.done == []


def test_scale_and_restart(cli: Cli) -> None:
    """Both reach the backend and print the ref; a negative number is usage."""
    assert cli("scale", API, "3").out == f"{API}\n"
    assert cli("restart", API).out == f"{API}\n"
    assert cli.backend.done == [("scale", API, 3), ("restart", API)]
    assert cli("scale", API, "--", "-1").code == 2


def test_jobs_do_not_scale(cli: Cli, ref: str) -> None:
    """Scale and restart of a job are failures with two lines."""
    for words in (("scale", ref, "2"), ("restart", ref)):
        ran = cli(*words)
        assert (ran.code, len(ran.error_lines)) == (1, 2)
        assert "is a job, not a service" in ran.error_lines[0]


def test_update_rolls_out_a_file(cli: Cli, tmp_path: Path) -> None:
    """A service file, or stdin, is rolled out; a job file is refused."""
    (tmp_path / "s.yaml").write_text("kind: service\ncommand: [serve, v2]\n")
    (tmp_path / "j.yaml").write_text("command: [work]\n")

    assert cli("update", API, "s.yaml").out == f"{API}\n"
    assert cli("update", API, "-", stdin=b"kind: service\ncommand: [serve, v3]\n").code == 0
    assert cli.backend.done == [("update", API, ("serve", "v2")), ("update", API, ("serve", "v3"))]
    ran = cli("update", API, "j.yaml")
    assert (ran.code, ran.error_lines[0]) == (1, "Error: j.yaml describes a job, not a service.")


def test_scale_waits_if_asked(cli: Cli) -> None:
    """``--wait --timeout`` gives up with 125 when the copies do not come."""
    ran = cli("scale", API, "3", "--wait", "--timeout", "5s")

    assert ran.code in {1, 125}
    assert len(ran.error_lines) == 2
