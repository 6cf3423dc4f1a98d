"""The Unix group that the snap makes and leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap.shell import checked
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.step import Machine

GROUP = "microk8s"


@dataclass(frozen=True)
class GroupBefore:
    """A note of whether the group was there. It stands before the snap in a plan, so an undo comes to it after that."""

    kind: ClassVar[str] = "group-before"
    host: str
    title: str = f"Note whether there is a group {GROUP}"

    @property
    def key(self) -> str:
        """There is one."""
        return f"group-before:{GROUP}"

    def commands(self) -> tuple[str, ...]:
        """Nothing is changed."""
        return ()

    def check(self, machine: Machine) -> Finding:
        """Noted, or not."""
        return Finding(done=machine.journal.find(self.key) is not None)

    def apply(self, machine: Machine) -> None:
        """Note it."""
        there = members(machine.shell) is not None
        machine.journal.begin(self.key, self.kind, self.title, {"there": there})

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Remove the group if it came with microk8s and nobody is left in it."""
        left = members(machine.shell)
        if data["there"] or left is None:
            return Undone()
        if left:
            return Undone(f"the group {GROUP} stays: {', '.join(left)} {'is' if len(left) == 1 else 'are'} in it")
        checked(machine.shell, ("groupdel", GROUP))
        return Undone()


def members(shell: Shell) -> list[str] | None:
    """Who is in the group; None where there is no such group."""
    # microk8s:x:1001:alice,bob
    found = shell.run(("getent", "group", GROUP))
    return [name for name in found.text.strip().rpartition(":")[2].split(",") if name] if found.ok else None
