"""``wait``: exit codes of one and of several, time-outs, the first end, readiness."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gpujobs import Replicas, State, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs import Ref
    from tests.unit.cli.conftest import Cli


def _job(cli: Cli, code: str = "0", seconds: str = "1") -> str:
    return cli("submit", "--", "work", code, seconds).out.strip()


@pytest.mark.parametrize(("code", "expected"), [("0", 0), ("3", 3), ("137", 137)])
def test_one_exits_as_the_job(cli: Cli, code: str, expected: int) -> None:
    """The exit code of one workload is its own; the table tells its end, stderr is silent on a pipe."""
    ref = _job(cli, code)

    ran = cli("wait", ref)

    assert (ran.code, ran.err) == (expected, "")
    assert ran.out.splitlines()[1].startswith(ref)


def test_cancelled_is_130_and_time_limit_124(cli: Cli) -> None:
    """As for ``run``."""
    gone = _job(cli, seconds="90")
    cli("cancel", gone)
    late = cli("submit", "--time", "5s", "--", "work", "0", "90").out.strip()

    assert (cli("wait", gone).code, cli("wait", late).code) == (130, 124)


def test_several_exit_0_only_if_all_succeeded(cli: Cli) -> None:
    """One failure among several is 1, whatever its own code."""
    good, better, bad = _job(cli), _job(cli), _job(cli, "9")

    assert cli("wait", good, better).code == 0
    assert cli("wait", good, bad).code == 1


def test_json_shape(cli: Cli) -> None:
    """One object for one, an array for several."""
    one, two = _job(cli), _job(cli)

    assert json.loads(cli("wait", "--json", one).out) == cli.client.status(one).to_dict()
    assert [s["ref"] for s in json.loads(cli("wait", "--json", one, two).out)] == [one, two]


def test_time_out_is_125_and_the_job_goes_on(cli: Cli) -> None:
    """``--timeout`` passing is two lines and 125; nothing is cancelled."""
    ref = _job(cli, seconds="900")

    ran = cli("wait", ref, "--timeout", "5s")

    assert (ran.code, ran.out, len(ran.error_lines)) == (125, "", 2)
    assert f"{ref} is still RUNNING" in ran.error_lines[0]
    assert cli.client.status(ref).state is State.RUNNING


def test_first_returns_at_the_first_end(cli: Cli) -> None:
    """``--first`` exits as the first that ended, while the others go on."""
    slow, fast = _job(cli, seconds="900"), _job(cli, "4")

    assert cli("wait", "--first", slow, fast).code == 4
    assert cli.client.status(slow).state is State.RUNNING


def test_lost_is_1(cli: Cli) -> None:
    """An unknown ref will never succeed."""
    assert cli("wait", "memory://memory/9").code == 1


def test_usage_is_2_and_other_failures_125(cli: Cli) -> None:
    """A bad command line is 2; a target that is not there is gpujobs failing, not the job."""
    assert cli("wait").code == 2
    assert cli("wait", "--timeout", "90", "memory://memory/1").code == 2
    assert cli("wait", "--first", "--ready", "memory://memory/1").code == 2
    assert cli("wait", "local://nowhere/1").code == 125


def test_quiet_prints_nothing(cli: Cli) -> None:
    """``--quiet`` leaves the exit code only."""
    ran = cli("wait", "-q", _job(cli, "3"))

    assert (ran.code, ran.out, ran.err) == (3, "", "")


def test_ready_of_a_service(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--ready`` returns 0 once all copies are ready, 125 when they are not in time, 1 when it ended instead."""
    ref = cli("submit", "--name", "api", "--replicas", "2", "--", "serve").out.strip()
    now = Status(cli.client.attach(ref).ref, State.PENDING, replicas=Replicas(wanted=2, ready=1, running=2))

    def statuses(refs: Sequence[Ref]) -> list[Status]:
        return [now for _ in refs]

    monkeypatch.setattr(cli.backend, "statuses", statuses)
    late = cli("wait", "--ready", ref, "--timeout", "5s")
    assert (late.code, len(late.error_lines)) == (125, 2)

    now = Status(now.ref, State.RUNNING, replicas=Replicas(wanted=2, ready=2, running=2))
    ready = cli("wait", "--ready", "--json", ref)
    assert (ready.code, json.loads(ready.out)["replicas"]["ready"]) == (0, 2)

    now = Status(now.ref, State.FAILED, replicas=Replicas(wanted=2))
    assert cli("wait", "--ready", ref).code == 1


def test_ready_of_a_job_is_refused(cli: Cli) -> None:
    """A job is never ready."""
    ran = cli("wait", "--ready", _job(cli))

    assert "is a job, not a service" in ran.error_lines[0]
    assert ran.code == 125
