"""Services: under systemd from a table, and without one as real processes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpujobs.bootstrap import BootstrapError
from gpujobs.bootstrap.steps import UNDOERS, File, RunningBefore, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpujobs.bootstrap import Machine
    from tests.bootstrap.conftest import ScriptedShell


def unit(**changes: object) -> Service:
    """A service under systemd."""
    service = Service("there", "Run it", "app", "appd", True, (("appd",),), "/run/appd.pid", sleep=lambda _: None)
    return replace(service, **changes)  # type: ignore[arg-type]  # the tests name real fields


@pytest.mark.parametrize(
    ("codes", "why"),
    [
        ((0, 0, 0), "app runs"),
        ((3, 0, 0), "app does not run"),
        ((0, 1, 0), "app would not start at the next boot"),
        ((0, 0, 1), "app runs and does not answer `ask it`"),
    ],
)
def test_a_service_is_done_when_it_runs_stays_and_answers(
    scripted: ScriptedShell, scripted_machine: Machine, codes: tuple[int, int, int], why: str
) -> None:
    """Running now is not enough: it has to come back at boot, and to answer."""
    for command, code in zip(("systemctl is-active", "systemctl is-enabled", "ask it"), codes, strict=True):
        scripted.answer(command, code)

    finding = unit(ready=("ask", "it")).check(scripted_machine)

    assert (finding.done, finding.why) == (why == "app runs", why)


def test_systemd_is_told_to_keep_it(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """It is enabled and restarted; where its unit changed, systemd reads that first."""
    scripted.answer("sh -c", 10)
    unit(watches=("/etc/systemd/system/app.service.d/x.conf",)).apply(scripted_machine)

    told = [line for line in scripted.ran if line.startswith("systemctl") and "is-" not in line]
    assert told == ["systemctl daemon-reload", "systemctl enable app", "systemctl restart app"]


@pytest.mark.parametrize(("was_enabled", "expected"), [(1, ["stop app", "disable --quiet app"]), (0, ["stop app"])])
def test_undo_stops_it_and_keeps_what_was_enabled_before(
    scripted: ScriptedShell, scripted_machine: Machine, was_enabled: int, expected: list[str]
) -> None:
    """Stopped in any case; disabled only if we enabled it; what it leaves is swept."""
    scripted.answer("systemctl is-enabled --quiet app", was_enabled)
    service = unit(after_stop=(("sweep", "up"),))
    service.apply(scripted_machine)
    entry = scripted_machine.journal.find("service:app")
    assert entry is not None
    scripted.ran.clear()

    UNDOERS["service"](scripted_machine, entry.data)

    assert [line.removeprefix("systemctl ") for line in scripted.ran] == [*expected, "sweep up"]


def test_one_that_never_answers_is_an_error(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """The error says where to read why."""
    scripted.answer("ask it", 1)

    with pytest.raises(BootstrapError, match="app on there was started, and it does not answer after 2 s") as caught:
        unit(ready=("ask", "it"), ready_s=2).apply(scripted_machine)

    assert "journalctl -u app" in caught.value.next_step


def test_one_that_ends_at_once_is_quoted(scripted: ScriptedShell, scripted_machine: Machine) -> None:
    """Without systemd its exit code is known, and the last line of its log is the reason."""
    scripted.answer("appd", 1)
    scripted.answer("tail -n 1 /var/log/appd", "fatal: no device\n")

    with pytest.raises(BootstrapError, match="`appd` exited 1: fatal: no device"):
        unit(systemd=False, log="/var/log/appd").apply(scripted_machine)


@pytest.fixture
def daemon(tmp_path: Path, machine: Machine) -> Iterator[Service]:
    """A real daemon without systemd; it is ended with the test."""
    start = ("sh", "-c", f"sleep 1000 >/dev/null 2>&1 & echo $! > {tmp_path}/pid")
    service = Service(
        "here", "Run it", "app", "sleep", False, (start,), f"{tmp_path}/pid", watches=(f"{tmp_path}/conf",)
    )
    yield service
    machine.shell.run(("sh", "-c", f"kill $(cat {tmp_path}/pid)"))


def pid(service: Service, machine: Machine) -> str:
    """The pid it wrote."""
    return machine.shell.run(("cat", service.pid_file)).text.strip()


def test_a_daemon_is_started_once(daemon: Service, machine: Machine) -> None:
    """Started, found running, and left alone by a second look."""
    assert daemon.check(machine).why == "app does not run"
    daemon.apply(machine)

    assert daemon.check(machine).done


def test_a_changed_file_means_a_new_start(daemon: Service, machine: Machine, me: str) -> None:
    """When a file it reads has changed it is started anew, and the old process is gone."""
    daemon.apply(machine)
    first = pid(daemon, machine)
    File("here", "Write", daemon.watches[0], "new", owner=me).apply(machine)

    assert daemon.check(machine).why == "app has not read its files since they changed"
    daemon.apply(machine)

    assert pid(daemon, machine) != first
    assert not machine.shell.run(("kill", "-0", first)).ok
    assert daemon.check(machine).done


def test_what_we_wrote_again_is_read_again(daemon: Service, machine: Machine, me: str) -> None:
    """A daemon that somebody restarted on a changed file has not read ours, though the file is as it was."""
    step = File("here", "Write", daemon.watches[0], "ours", owner=me)
    step.apply(machine)
    daemon.apply(machine)
    assert daemon.check(machine).done

    step.apply(machine)

    assert not daemon.check(machine).done


def test_a_daemon_of_before_has_read_what_we_did_not_write(daemon: Service, machine: Machine, me: str) -> None:
    """One that runs already is stale only if a file it reads was changed by us."""
    machine.shell.run(daemon.start[0])
    assert daemon.check(machine).done

    File("here", "Write", daemon.watches[0], "new", owner=me).apply(machine)

    assert not daemon.check(machine).done


def test_a_pid_of_somebody_else_is_not_ours(daemon: Service, machine: Machine, tmp_path: Path) -> None:
    """A stale pid file that names another program's process counts as not running, and nobody is killed."""
    other = machine.shell.run(("sh", "-c", "exec tail -f /dev/null >/dev/null 2>&1 & echo $!")).text.strip()
    (tmp_path / "pid").write_text(other)

    assert daemon.check(machine).why == "app does not run"
    daemon.apply(machine)

    assert machine.shell.run(("kill", other)).ok


def test_undo_stops_the_daemon(daemon: Service, machine: Machine, tmp_path: Path) -> None:
    """By its pid, and the pid file goes too."""
    daemon.apply(machine)
    started = pid(daemon, machine)
    entry = machine.journal.find(daemon.key)
    assert entry is not None

    UNDOERS["service"](machine, entry.data)

    assert not machine.shell.run(("kill", "-0", started)).ok
    assert not (tmp_path / "pid").exists()


def test_what_ran_before_runs_again_after_the_undo(daemon: Service, machine: Machine) -> None:
    """The note is taken only while nothing of ours was started, and its undo starts the daemon once more."""
    note = RunningBefore("here", daemon.name, daemon.program, False, daemon.start, daemon.pid_file)
    assert note.check(machine).done
    machine.shell.run(daemon.start[0])
    assert not note.check(machine).done
    note.apply(machine)
    assert note.check(machine).done
    entry = machine.journal.find(note.key)
    assert entry is not None
    machine.shell.run(("sh", "-c", f"kill $(cat {daemon.pid_file})"))

    assert UNDOERS["running-before"](machine, entry.data).kept == "app ran before and runs again"
    first = pid(daemon, machine)
    UNDOERS["running-before"](machine, entry.data)
    assert pid(daemon, machine) == first


def test_what_we_started_is_not_noted_as_before(daemon: Service, machine: Machine) -> None:
    """After an interrupted run the daemon runs, and it was ours."""
    daemon.apply(machine)

    assert RunningBefore("here", daemon.name, daemon.program, False, daemon.start, daemon.pid_file).check(machine).done
