"""Daemons, kept by systemd where there is one and started directly where there is none."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap import files
from gpujobs.bootstrap.errors import BootstrapError
from gpujobs.bootstrap.shell import checked
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpujobs.bootstrap.shell import Argv, Shell
    from gpujobs.bootstrap.step import Machine

# $1 = pid file, $2 = program. A pid file may outlive its process, and the pid may be another's by then.
_ALIVE = 'p=$(cat -- "$1" 2>/dev/null) && [ -n "$p" ] && [ "$(cat "/proc/$p/comm" 2>/dev/null)" = "$2" ] && echo "$p"'

# $1 = pid file, $2 = program, $3 = seconds. By pid, and KILL only when TERM was not enough.
_STOP = """
p=$(cat -- "$1" 2>/dev/null) || exit 0
[ -n "$p" ] || exit 0
is() { [ "$(cat "/proc/$p/comm" 2>/dev/null)" = "$2" ]; }
is "$@" || exit 0
kill "$p" || exit 0
n=0
while is "$@"; do
  n=$((n + 1))
  [ "$n" -le "$(($3 * 10))" ] || { kill -9 "$p"; n=0; }
  sleep 0.1
done
rm -f -- "$1"
"""
_STOP_S = 30


@dataclass(frozen=True)
class Service:
    """A daemon that runs, with the configuration that is on the disk now.

    Attributes:
        name: Its systemd unit.
        program: The name of its process.
        systemd: Whether that machine has systemd.
        start: What starts it where there is no systemd; it goes into the background by itself.
        pid_file: Where it then writes its pid.
        watches: Files it reads at its start: when one has changed, it is started anew.
        ready: A probe that is true once it answers.
        ready_s: How long that may take.
        log: Where it says why it does not come up.
        after_stop: What an undo clears away once it is stopped.
    """

    kind: ClassVar[str] = "service"
    host: str
    title: str
    name: str
    program: str
    systemd: bool
    start: tuple[Argv, ...]
    pid_file: str
    watches: tuple[str, ...] = ()
    ready: Argv = ()
    ready_s: float = 30
    log: str = ""
    after_stop: tuple[Argv, ...] = ()
    sleep: Callable[[float], None] = time.sleep

    @property
    def key(self) -> str:
        """The name makes it one of a kind."""
        return f"service:{self.name}"

    def commands(self) -> tuple[str, ...]:
        """The systemctl commands, or the ones that start it."""
        return tuple(shlex.join(argv) for argv in (self._systemctl() if self.systemd else self.start))

    def _systemctl(self) -> tuple[Argv, ...]:
        units_changed = any(path.startswith("/etc/systemd/") for path in self.watches)
        reload: tuple[Argv, ...] = (("systemctl", "daemon-reload"),) if units_changed else ()
        return (*reload, ("systemctl", "enable", self.name), ("systemctl", "restart", self.name))

    def check(self, machine: Machine) -> Finding:
        """Look whether it runs, answers, and has read its files."""
        if not self._running(machine.shell):
            return Finding(done=False, why=f"{self.name} does not run")
        if self.systemd and not machine.shell.run(("systemctl", "is-enabled", "--quiet", self.name)).ok:
            return Finding(done=False, why=f"{self.name} would not start at the next boot")
        if self._stale(machine):
            return Finding(done=False, why=f"{self.name} has not read its files since they changed")
        if self.ready and not machine.shell.run(self.ready, timeout_s=10).ok:
            return Finding(done=False, why=f"{self.name} runs and does not answer `{shlex.join(self.ready)}`")
        return Finding(done=True, why=f"{self.name} runs")

    def apply(self, machine: Machine) -> None:
        """Start it, or start it anew.

        Raises:
            BootstrapError: It does not come up; the message ends with what it logged.
        """
        shell = machine.shell
        enabled = self.systemd and shell.run(("systemctl", "is-enabled", "--quiet", self.name)).ok
        data = {"name": self.name, "program": self.program, "systemd": self.systemd, "pid_file": self.pid_file}
        data |= {"was_enabled": enabled, "after_stop": [list(argv) for argv in self.after_stop], "read": ""}
        machine.journal.begin(self.key, self.kind, self.title, data)
        read = self._digest(machine)
        if self.systemd:
            for argv in self._systemctl():
                checked(shell, argv)
        else:
            checked(shell, ("sh", "-c", _STOP, "stop", self.pid_file, self.program, str(_STOP_S)))
            for argv in self.start:
                started = shell.run(argv)
                if not started.ok:
                    raise self._not_up(shell, f"`{argv[0]}` exited {started.exit_code}", started.last_line)
        self._wait(shell)
        machine.journal.update(self.key, read=read)

    def _running(self, shell: Shell) -> bool:
        return _running(shell, self)

    def _digest(self, machine: Machine) -> str:
        # A file that is not there is not in the output, and that is a state too. How often we wrote counts as well:
        # a daemon that somebody restarted in between may have read what we have overwritten since.
        known = [machine.journal.find(f"file:{path}") for path in self.watches]
        writes = [str(entry.data["writes"]) if entry else "-" for entry in known]
        sums = machine.shell.run(("sha256sum", "--", *self.watches)).stdout if self.watches else b""
        return files.digest(sums + " ".join(writes).encode())

    def _stale(self, machine: Machine) -> bool:
        entry = machine.journal.find(self.key)
        if entry is not None:
            return bool(entry.data["read"] != self._digest(machine))
        # It ran before us: it has read everything that we have not touched.
        return any(machine.journal.find(f"file:{path}") for path in self.watches)

    def _wait(self, shell: Shell) -> None:
        waited = 0.0
        while not self._running(shell) or (self.ready and not shell.run(self.ready, timeout_s=10).ok):
            if waited >= self.ready_s:
                raise self._not_up(shell, f"it does not answer after {self.ready_s:g} s")
            self.sleep(0.25)
            waited += 0.25

    def _not_up(self, shell: Shell, how: str, said: str = "") -> BootstrapError:
        last = said or (shell.run(("tail", "-n", "1", self.log)).text.strip() if self.log else "")
        return BootstrapError(
            f"{self.name} on {self.host} was started, and {how}" + (f": {last}" if last else "."),
            next_step=f"Read its log on {self.host}: {_log_command(self)}",
        )

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Stop it; a service that ran before is started again once its files are back."""
        name = data["name"]
        if data["systemd"]:
            machine.shell.run(("systemctl", "stop", name))
            if not data["was_enabled"]:
                machine.shell.run(("systemctl", "disable", "--quiet", name))
        else:
            checked(machine.shell, ("sh", "-c", _STOP, "stop", data["pid_file"], data["program"], str(_STOP_S)))
        for argv in data["after_stop"]:
            machine.shell.run(tuple(argv))
        return Undone()


@dataclass(frozen=True)
class RunningBefore:
    """A note that a daemon ran before us. It stands before the files in a plan, so an undo comes to it after them."""

    kind: ClassVar[str] = "running-before"
    host: str
    name: str
    program: str
    systemd: bool
    start: tuple[Argv, ...]
    pid_file: str

    @property
    def title(self) -> str:
        """Said by an undo, which then starts it again."""
        return f"Note whether {self.name} ran before"

    @property
    def key(self) -> str:
        """The name makes it one of a kind."""
        return f"running-before:{self.name}"

    def commands(self) -> tuple[str, ...]:
        """Nothing is run."""
        return ()

    def check(self, machine: Machine) -> Finding:
        """Noted, or nothing to note: once we have begun with the service, it is too late to ask."""
        known = machine.journal.find(self.key) or machine.journal.find(f"service:{self.name}")
        running = _running(machine.shell, self)
        return Finding(done=known is not None or not running, why=f"{self.name} runs" if running else "")

    def apply(self, machine: Machine) -> None:
        """Note it."""
        data = {"name": self.name, "program": self.program, "systemd": self.systemd, "pid_file": self.pid_file}
        data |= {"start": [list(argv) for argv in self.start]}
        machine.journal.begin(self.key, self.kind, self.title, data)

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Start it again, now with its own files."""
        if data["systemd"]:
            checked(machine.shell, ("systemctl", "restart", data["name"]))
        elif not machine.shell.run(("sh", "-c", _ALIVE, "alive", data["pid_file"], data["program"])).ok:
            for argv in data["start"]:
                checked(machine.shell, tuple(argv))
        return Undone(f"{data['name']} ran before and runs again")


def _running(shell: Shell, service: Service | RunningBefore) -> bool:
    if service.systemd:
        return shell.run(("systemctl", "is-active", "--quiet", service.name)).ok
    return shell.run(("sh", "-c", _ALIVE, "alive", service.pid_file, service.program)).ok


def _log_command(service: Service) -> str:
    return (
        f"journalctl -u {service.name} -n 50" if service.systemd else f"ls -t /var/log/slurm /var/log/{service.name}*"
    )
