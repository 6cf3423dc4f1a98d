"""``status``, ``ps``, ``explain``, ``capacity`` and ``logs``: tables for pipes, JSON field by field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gpujobs.cli import ps as ps_module
from gpujobs.testing._ends import PUBLIC_FIELDS

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli

HEADER = "REF\tNAME\tSTATE\tREADY\tEXIT\tATTEMPT\tSUBMITTED\tTOOK\tNODES\tREASON"


def test_status_json_field_by_field(cli: Cli) -> None:
    """``status --json`` of a failed job has exactly the designed fields and values."""
    cli("run", "--name", "n", "--", "work", "3")

    found = json.loads(cli("status", "--json", "memory://memory/1").out)

    assert list(found) == PUBLIC_FIELDS
    assert found["reason"] == {
        "code": "exit-code",
        "message": "Its command ended with exit code 3.",
        "next": "Read its log.",
    }
    assert found["replicas"] == {"wanted": 1, "ready": 0, "running": 0, "succeeded": 0, "failed": 1}
    assert found["native"] == {"state": "failed", "reason": ""}
    assert found["submitted_at"].endswith("Z")
    rest = {k: v for k, v in found.items() if k not in {"reason", "replicas", "native"} and not k.endswith("_at")}
    assert rest == {
        "ref": "memory://memory/1",
        "name": "n",
        "kind": "job",
        "target": "memory",
        "backend": "memory",
        "state": "FAILED",
        "final": True,
        "exit_code": 3,
        "signal": None,
        "attempt": 0,
        "nodes": ["memory"],
    }


def test_status_json_of_several_is_an_array(cli: Cli, ref: str) -> None:
    """One ref gives an object, several an array in the order asked for; an unknown one is LOST and no error."""
    ran = cli("status", "--json", "memory://memory/9", ref)

    assert ran.code == 0
    assert [(s["ref"], s["state"]) for s in json.loads(ran.out)] == [("memory://memory/9", "LOST"), (ref, "RUNNING")]


def test_status_of_an_unknown_ref_is_lost_with_exit_0(cli: Cli) -> None:
    """LOST is an answer, not a failure."""
    ran = cli("status", "--json", "memory://memory/9")

    assert (ran.code, json.loads(ran.out)["state"], json.loads(ran.out)["reason"]["code"]) == (0, "LOST", "lost")


def test_status_table_on_a_pipe(cli: Cli, ref: str) -> None:
    """A header and a row, tab-separated, without colours; empty cells are dashes."""
    ran = cli("status", ref)

    header, row = ran.out.splitlines()
    assert header == HEADER
    cells = row.split("\t")
    assert cells[:6] == [ref, "first", "RUNNING", "-", "-", "0"]
    assert cells[6].endswith("Z")
    assert cells[8:] == ["memory", "-"]


def test_ps_lists_what_has_not_ended(cli: Cli, ref: str) -> None:
    """Without ``--all`` only what is not final; newest first; filters narrow it."""
    second = cli("submit", "--name", "second", "--", "work", "0", "90").out.strip()
    assert [row.split("\t")[0] for row in cli("ps").out.splitlines()] == ["REF", second, ref]
    cli("wait", ref)

    assert [s["ref"] for s in json.loads(cli("ps", "--json").out)] == [second]
    assert [s["ref"] for s in json.loads(cli("ps", "--all", "--json").out)] == [second, ref]
    assert [s["ref"] for s in json.loads(cli("ps", "--all", "--label", "a=b", "--json").out)] == [ref]
    assert [s["ref"] for s in json.loads(cli("ps", "--name", "second", "--json").out)] == [second]
    assert [s["ref"] for s in json.loads(cli("ps", "--state", "failed", "--json").out)] == [ref]
    assert [s["ref"] for s in json.loads(cli("ps", "-a", "--limit", "1", "--json").out)] == [second]
    assert list(json.loads(cli("ps", "--json").out)[0]) == PUBLIC_FIELDS


def test_ps_of_nothing(cli: Cli) -> None:
    """An empty target gives the header, and an empty array."""
    assert cli("ps").out == HEADER + "\n"
    assert json.loads(cli("ps", "--all", "--json").out) == []


class _Stop:
    """Sleeps so many times, then interrupts, as a person would."""

    def __init__(self, cli: Cli, times: int) -> None:
        self._cli = cli
        self._times = times

    def sleep(self, seconds: float) -> None:
        """Let the time of the backend pass."""
        self._times -= 1
        if self._times < 0:
            raise KeyboardInterrupt
        self._cli.backend.clock.sleep(seconds)


def test_ps_watch_on_a_pipe_prints_what_changed(cli: Cli, ref: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows appear when they change and not before; Ctrl-C ends it with 130."""
    monkeypatch.setattr(ps_module, "time", _Stop(cli, 3))

    ran = cli("ps", "--all", "--watch", "--interval", "0.6s")

    assert ran.code == 130
    assert [row.split("\t")[2] for row in ran.out.splitlines()] == ["STATE", "RUNNING", "FAILED"]
    assert ref in ran.out


def test_ps_watch_json_prints_arrays(cli: Cli, ref: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One array per line whenever it changed."""
    monkeypatch.setattr(ps_module, "time", _Stop(cli, 3))

    ran = cli("ps", "--all", "--watch", "--json", "--interval", "0.6s")

    assert ran.code == 130
    assert [[s["state"] for s in json.loads(line)] for line in ran.out.splitlines()] == [["RUNNING"], ["FAILED"]]
    assert ref in ran.out


def test_explain(cli: Cli) -> None:
    """A sentence, the next step and the evidence; with ``--json`` an object, or an array."""
    cli("run", "--", "work", "3")
    failed = "memory://memory/1"

    assert cli("explain", failed).out == (
        f"{failed} FAILED: Its command ended with exit code 3.\n  Read its log.\n  - log: hello\n"
    )
    found = json.loads(cli("explain", "--json", failed).out)
    assert found == {
        "ref": failed,
        "state": "FAILED",
        "summary": "Its command ended with exit code 3.",
        "next": "Read its log.",
        "details": ["log: hello"],
    }
    assert json.loads(cli("explain", "--json", failed, failed).out) == [found, found]


def test_capacity(cli: Cli, ref: str) -> None:
    """A row per node and kind; with ``--json`` totals and the same rows."""
    assert ref
    assert cli("capacity").out.splitlines()[1] == "memory\tpretended\t4\t4\t-\texclusive\t-"
    assert json.loads(cli("capacity", "--json").out) == {
        "total": 4,
        "free": 4,
        "gpus": [
            {
                "node": "memory",
                "type": "pretended",
                "total": 4,
                "free": 4,
                "memory": None,
                "sharing": "exclusive",
                "copies": 1,
                "available": True,
                "note": "",
            }
        ],
        "notes": [],
    }


@pytest.mark.parametrize("verb", ["explain", "logs", "cancel", "delete"])
def test_unknown_refs_are_failures(cli: Cli, verb: str) -> None:
    """Verbs other than ``status`` do not find an unknown ref: exit 1, two lines."""
    ran = cli(verb, "memory://memory/9")

    assert (ran.code, ran.out, len(ran.error_lines)) == (1, "", 2)
    assert "There is no memory://memory/9" in ran.error_lines[0]


@pytest.mark.parametrize("verb", ["status", "explain", "logs", "wait", "cancel", "delete", "restart"])
@pytest.mark.parametrize("text", ["nonsense", "slurm:/x", "", "x" * 100_000, "a://b/c d", "\x1b]0;x\x07"])
def test_what_is_no_ref_is_usage(cli: Cli, verb: str, text: str) -> None:
    """A malformed ref exits 2 with two lines that a terminal survives."""
    ran = cli(verb, text)

    assert (ran.code, ran.out, len(ran.error_lines)) == (2, "", 2)
    assert "\x1b" not in ran.err


def test_ref_of_another_backend_is_named(cli: Cli) -> None:
    """A ref whose backend is not that of its target is a failure that says so."""
    ran = cli("status", "slurm://memory/1")

    assert ran.code == 1
    assert "is a slurm ref, but target 'memory' here is a memory target" in ran.error_lines[0]


def test_logs_of_an_ended_job(cli: Cli) -> None:
    """Bytes unchanged; ``--tail`` the last lines; ``--follow`` the same to the end."""
    text = "a\rb\r\n\x1b[2Jc\nno end"
    job = cli("submit", "--env", f"OUT={text}", "--", "work").out.strip()
    cli("wait", job)

    assert cli("logs", job).out == text
    assert cli("logs", "-f", job).out == text
    assert cli("logs", "--tail", "1", job).out == "no end"
    assert cli("logs", "--prefix", job).out == "[0] a\r[0] b\r\n[0] \x1b[2Jc\n[0] no end"
    assert cli("logs", "--timestamps", "--tail", "1", job).out == "- no end"
    assert cli("logs", "--since", "10m", job).code == 0
    assert cli("logs", "--since", "2026-01-31T12:00:00Z", job).code == 0
    assert cli("logs", "--since", "yesterday", job).code == 2
    assert cli("logs", "--tail", "-1", job).code == 2


def test_logs_json(cli: Cli) -> None:
    """An object per line; ``raw`` only where the text does not hold all bytes."""
    job = cli("submit", "--env", "OUT=a\nb\r", "--", "work").out.strip()
    cli("wait", job)

    lines = [json.loads(line) for line in cli("logs", "--json", job).out.splitlines()]

    plain = {"replica": 0, "attempt": 0, "time": None, "stream": None, "gap": False}
    assert lines == [{"text": "a", **plain}, {"text": "b", **plain}]


def test_log_of_a_pending_job_is_one_clear_error(cli: Cli) -> None:
    """Nothing to print because it has not started is said, not shown as an empty log."""
    cli("submit", "--gpus", "4", "--", "work", "0", "90")
    waiting = cli("submit", "--gpus", "4", "--", "work").out.strip()

    ran = cli("logs", waiting)

    assert (ran.code, ran.out) == (1, "")
    assert ran.error_lines[0].endswith("has no log yet: it has not started.")
    assert f"gpujobs logs -f {waiting}" in ran.error_lines[1]


def test_empty_log_of_an_ended_job_is_no_error(cli: Cli) -> None:
    """A job that wrote nothing has an empty log."""
    job = cli("submit", "--env", "OUT=", "--", "work").out.strip()
    cli("wait", job)

    ran = cli("logs", job)

    assert (ran.code, ran.out, ran.err) == (0, "", "")
