"""What a doctor looks at in a Slurm cluster: read-only, with pure parsers."""

from __future__ import annotations

import re
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpujobs.bootstrap.shell import Completed, Shell

_CONFIGURATION = "cat /etc/slurm/slurm.conf 2>/dev/null"
_CGROUP = "cat /etc/slurm/cgroup.conf 2>/dev/null"
_DIGEST = "cat /etc/slurm/slurm.conf /etc/slurm/gres.conf 2>/dev/null | sha256sum"


@dataclass(frozen=True)
class NodeState:
    """A node as slurmctld sees it.

    Attributes:
        states: The words of its state: ``IDLE``, ``DRAIN``, ``INVALID_REG``.
        reason: Why it takes no jobs, without the author.
        author: Who said so; ``root`` and ``slurm`` are mostly Slurm itself.
        gpus: How many GPUs are configured.
    """

    name: str
    states: frozenset[str]
    reason: str = ""
    author: str = ""
    gpus: int = 0


@dataclass(frozen=True)
class MachineState:
    """A machine as it sees itself."""

    host: str
    hostname: str
    systemd: bool
    daemons: frozenset[str]
    trusts_controller: bool
    munge_says: str
    clock_offset_s: float
    gpu_files: int
    digest: str
    cgroup_conf: str


@dataclass(frozen=True)
class ClusterState:
    """All of it, the controller's machine first."""

    answers: bool
    ping: str
    version: tuple[int, int]
    settings: Mapping[str, str]
    nodes: tuple[NodeState, ...]
    machines: tuple[MachineState, ...]

    @property
    def controller(self) -> MachineState:
        """The machine that decides."""
        return self.machines[0]

    def machine_of(self, node: str) -> MachineState | None:
        """The machine of a node, if it is one we can reach."""
        return next((machine for machine in self.machines if machine.hostname == node), None)


def has_slurm(shell: Shell) -> bool:
    """Whether there is anything to look at."""
    return shell.run(("sh", "-c", "command -v slurmctld || test -s /etc/slurm/slurm.conf")).ok


def look(shells: Mapping[str, Shell], *, clock: Callable[[], float] = time.time) -> ClusterState:
    """Look at a cluster.

    Args:
        shells: Its machines by name, the controller first.
        clock: What their clocks are compared with.

    Raises:
        UnavailableError: A machine cannot be reached.
    """
    controller = next(iter(shells.values()))
    ping = controller.run(("scontrol", "ping"), timeout_s=30)
    answers = "is UP" in ping.text
    listed = controller.run(("scontrol", "-o", "show", "nodes")).text if answers else ""
    credential = controller.run(("munge", "-n"))
    return ClusterState(
        answers=answers,
        ping=ping.last_line,
        version=parse_release(controller.run(("slurmctld", "-V")).text),
        settings=parse_settings(controller.run(("sh", "-c", _CONFIGURATION)).text),
        nodes=parse_nodes(listed),
        machines=tuple(_machine(name, shell, credential, clock) for name, shell in shells.items()),
    )


def _machine(name: str, shell: Shell, credential: Completed, clock: Callable[[], float]) -> MachineState:
    def said(script: str) -> str:
        return shell.run(("sh", "-c", script)).text

    believed = shell.run(("unmunge", "-o", "/dev/null"), stdin=credential.stdout)
    before = clock()
    there = shell.run(("date", "+%s.%N")).text.strip()
    now = (before + clock()) / 2
    return MachineState(
        host=name,
        hostname=said("hostname -s").strip(),
        systemd=shell.run(("test", "-d", "/run/systemd/system")).ok,
        daemons=frozenset(said("ps -eo comm=").split()) & {"munged", "slurmctld", "slurmd", "slurmdbd"},
        trusts_controller=believed.ok and credential.ok,
        munge_says=believed.last_line if credential.ok else credential.last_line,
        clock_offset_s=round(float(there or now) - now, 1),
        gpu_files=len(said("ls -1d /dev/nvidia[0-9]* 2>/dev/null").split()),
        digest=said(_DIGEST).strip(),
        cgroup_conf=said(_CGROUP),
    )


# slurm-wlm 22.05.8
def parse_release(text: str) -> tuple[int, int]:
    """Year and month out of ``slurmctld -V``."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


# In slurm.conf every line is Key=Value, in any case, and a comment begins with '#'.
def parse_settings(text: str) -> dict[str, str]:
    """The settings of slurm.conf by their names in small letters; nodes and partitions are left out."""
    settings: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("#")[0].strip().partition("=")
        if equals and name.lower() not in {"nodename", "partitionname"}:
            settings[name.strip().lower()] = value.strip()
    return settings


# In one line: NodeName=c1 Arch=x86_64 ... Gres=gpu:h100:2 ... State=IDLE+DRAIN+INVALID_REG ThreadsPerCore=1 ...
# Reason=gres/gpu count reported lower than configured (0 < 2) [slurm@2026-11-24T06:01:02]
def parse_nodes(text: str) -> tuple[NodeState, ...]:
    """The nodes of ``scontrol -o show nodes``."""
    return tuple(_node(line) for line in text.splitlines() if line.startswith("NodeName="))


def _node(line: str) -> NodeState:
    def value(name: str) -> str:
        found = re.search(rf"\b{name}=(\S*)", line)
        return found[1] if found else ""

    reason = re.search(r"\bReason=(.*?)(?: \[([^@\]]*)@[^\]]*\])?\s*(?:Comment=.*)?$", line)
    return NodeState(
        name=value("NodeName"),
        states=frozenset(value("State").replace("*", "+NO_ANSWER").split("+")),
        reason=reason[1].strip() if reason else "",
        author=(reason[2] or "") if reason else "",
        gpus=sum(int(n) for n in re.findall(r"gpu:(?:[^:,()]+:)?(\d+)", value("Gres"))),
    )


def start_command(machine: MachineState, daemon: str) -> tuple[str, ...]:
    """What starts a daemon on this machine."""
    if machine.systemd:
        return ("systemctl", "restart", "munge" if daemon == "munged" else daemon)
    if daemon == "munged":
        prepare = ("install", "-d", "-o", "munge", "-g", "munge", "-m", "755", "/run/munge")
        return ("sh", "-c", f"{shlex.join(prepare)} && runuser -u munge -- /usr/sbin/munged")
    return (daemon,)
