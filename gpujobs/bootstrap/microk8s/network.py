"""What a Kubernetes network leaves in the kernel: named at the end, and never touched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.step import Machine

_OURS = re.compile(r"^(cali|vxlan\.calico|flannel|KUBE-|CNI-)")
_LINKS = "ls /sys/class/net"
_CHAINS = "iptables-save 2>/dev/null | sed -n 's/^:\\([^ ]*\\) .*/\\1/p' | sort -u"


@dataclass(frozen=True)
class NetworkBefore:
    """A note of the links and packet filter chains that were there. It is the first step, so an undo ends with it."""

    kind: ClassVar[str] = "network-before"
    host: str
    title: str = "Note the network links and packet filter chains"

    @property
    def key(self) -> str:
        """There is one kernel."""
        return "network-before"

    def commands(self) -> tuple[str, ...]:
        """Nothing is changed."""
        return ()

    def check(self, machine: Machine) -> Finding:
        """Noted, or too late to note."""
        return Finding(done=any(entry.kind == self.kind for entry in machine.journal))

    def apply(self, machine: Machine) -> None:
        """Note them."""
        machine.journal.begin(self.key, self.kind, self.title, {"there": _now(machine.shell)})

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Name what came since; the kernel forgets it at the next boot, and a hand could hit Docker's."""
        left = new_ones(_now(machine.shell), data["there"])
        return Undone(f"{', '.join(left)} stay until the next boot" if left else "")


def _now(shell: Shell) -> list[str]:
    return [name for script in (_LINKS, _CHAINS) for name in shell.run(("sh", "-c", script)).text.split()]


def new_ones(now: list[str], before: list[str]) -> list[str]:
    """The links and chains of a Kubernetes network that were not there before, as a pure function."""
    return sorted({name for name in now if _OURS.match(name)} - set(before))
