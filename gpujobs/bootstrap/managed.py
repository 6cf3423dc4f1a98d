"""Clusters that gpujobs has set up on machines: who is in them, what was wished, and how they go again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from gpujobs.bootstrap import engine
from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.journal import Journal
from gpujobs.bootstrap.step import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpujobs.bootstrap.engine import Applied, OnEvent, TakenBack, Undoer
    from gpujobs.bootstrap.plan import Plan
    from gpujobs.bootstrap.shell import Shell

    Connect = Callable[[str], Shell]


class ClusterWish(Protocol):
    """What a user wants of a cluster."""

    @property
    def machines(self) -> tuple[str, ...]:
        """All machines, the one that keeps the wish first."""
        ...


WishT = TypeVar("WishT", bound=ClusterWish)


class ManagedCluster(Generic[WishT]):
    """One cluster, found by the machine that keeps what was wished of it.

    Args:
        control: That machine.
        connect: How a machine's name becomes a way to reach it.
        what: The kind of bootstrap, which names the journals.
        title: What a person calls it.
        read: Makes a wish of its JSON.
        undoers: The undo of each kind of step that its plans have.
    """

    def __init__(
        self,
        control: str,
        connect: Connect,
        *,
        what: str,
        title: str,
        read: Callable[[Any], WishT],
        undoers: Mapping[str, Undoer],
    ) -> None:
        self.control = control
        self._connect = connect
        self._what = what
        self._title = title
        self._read = read
        self._undoers = undoers
        self._machines: dict[str, Machine] = {}

    def machine(self, name: str) -> Machine:
        """One machine of the cluster, reached once."""
        if name not in self._machines:
            shell = self._connect(name)
            self._machines[name] = Machine(name, shell, Journal(shell, self._what))
        return self._machines[name]

    def machines(self, wish: WishT) -> dict[str, Machine]:
        """The machines of a wish, by name."""
        return {name: self.machine(name) for name in wish.machines}

    def wish(self) -> WishT | None:
        """What was asked for at the last apply, or None where there was none."""
        kept = self.machine(self.control).journal.wish
        return None if kept is None else self._read(kept)

    def required_wish(self) -> WishT:
        """What was asked for at the last apply.

        Raises:
            RefusedError: There was none.
        """
        wish = self.wish()
        if wish is None:
            raise RefusedError(
                f"No bootstrap of gpujobs has set up {self._title} on {self.control}.",
                next_step=f"Run `gpujobs bootstrap {self._what} plan` to see what one would do.",
            )
        return wish

    def apply(self, plan: Plan, *, on_event: OnEvent = engine.unwatched, unreachable: bool = False) -> Applied:
        """Do what is missing of a plan; machines that are no longer in it are taken back first.

        Args:
            plan: As ``plan`` made it.
            on_event: Called as things go.
            unreachable: Whether machines that are no longer in it are gone for good, and are left alone.

        Raises:
            StepFailedError: A step failed; another apply goes on from there.
        """
        before = self.wish()
        gone = [name for name in before.machines if name not in plan.machines] if before else []
        if gone and not unreachable:
            leaving = {name: self.machine(name) for name in gone}
            self.before_leaving(leaving)
            engine.undo(leaving, self._undoers, on_event=on_event)
        return engine.apply(plan, on_event=on_event)

    def undo(self, *, on_event: OnEvent = engine.unwatched) -> TakenBack:
        """Take back what was made on every machine of the last wish, and nothing else.

        Raises:
            RefusedError: There was none.
            StepFailedError: Something could not be taken back; another undo goes on from there.
        """
        machines = self.machines(self.required_wish())
        self.before_leaving(machines)
        return engine.undo(machines, self._undoers, on_event=on_event)

    def before_leaving(self, machines: Mapping[str, Machine]) -> None:
        """Whatever has to end before these machines are taken back; here nothing."""
