"""A microk8s as its owner handles it: plan, apply, verify, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap import engine
from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.journal import Journal
from gpujobs.bootstrap.microk8s import preflight
from gpujobs.bootstrap.microk8s.join import Join
from gpujobs.bootstrap.microk8s.kubeconfig import KubeconfigContext
from gpujobs.bootstrap.microk8s.network import NetworkBefore
from gpujobs.bootstrap.microk8s.probes import Microk8sFacts, gather_microk8s
from gpujobs.bootstrap.microk8s.steps import microk8s_steps
from gpujobs.bootstrap.microk8s.verify import verify
from gpujobs.bootstrap.microk8s.wish import Microk8sWish
from gpujobs.bootstrap.plan import Plan
from gpujobs.bootstrap.step import Machine
from gpujobs.bootstrap.steps import UNDOERS as BASIC_UNDOERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gpujobs.bootstrap.engine import Applied, OnEvent, TakenBack, Undoer
    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.verify import Check

    Connect = Callable[[str], Shell]

WHAT = "microk8s"
UNDOERS: Mapping[str, Undoer] = {
    **BASIC_UNDOERS,
    **{kind.kind: kind.undo for kind in (Join, KubeconfigContext, NetworkBefore)},
}


class Microk8s:
    """One microk8s, found by the machine that decides.

    Args:
        control: That machine; it keeps what was wished.
        connect: How a machine's name becomes a way to reach it.
    """

    def __init__(self, control: str, connect: Connect) -> None:
        self._control = control
        self._connect = connect
        self._machines: dict[str, Machine] = {}

    def machine(self, name: str) -> Machine:
        """One machine of the cluster, reached once."""
        if name not in self._machines:
            shell = self._connect(name)
            self._machines[name] = Machine(name, shell, Journal(shell, WHAT))
        return self._machines[name]

    def wish(self) -> Microk8sWish | None:
        """What was asked for at the last apply, or None where there was none."""
        kept = self.machine(self._control).journal.wish
        return None if kept is None else Microk8sWish.model_validate(kept)

    def required_wish(self) -> Microk8sWish:
        """What was asked for at the last apply.

        Raises:
            RefusedError: There was none.
        """
        wish = self.wish()
        if wish is None:
            raise RefusedError(
                f"No bootstrap of gpujobs has set up microk8s on {self._control}.",
                next_step="Run `gpujobs bootstrap microk8s plan` to see what one would do.",
            )
        return wish

    def facts(self, wish: Microk8sWish) -> dict[str, Microk8sFacts]:
        """Look at every machine.

        Raises:
            UnavailableError: One cannot be reached.
        """
        return {
            name: gather_microk8s(self.machine(name).shell, user=wish.user, directory=wish.snap)
            for name in wish.machines
        }

    def plan(self, wish: Microk8sWish) -> Plan:
        """What there is to do.

        Raises:
            RefusedError: It cannot work on these machines.
        """
        cluster = self.facts(wish)
        preflight.refuse(wish, cluster)
        machines = {name: self.machine(name) for name in wish.machines}
        shells = {name: machine.shell for name, machine in machines.items()}
        steps = microk8s_steps(wish, cluster, shells)
        return Plan(WHAT, machines, steps, wish.model_dump(mode="json"), tuple(preflight.warnings(wish, cluster)))

    def apply(self, wish: Microk8sWish, *, on_event: OnEvent = engine.unwatched) -> Applied:
        """Do what is missing; workers that are no longer wished leave first.

        Raises:
            StepFailedError: A step failed; another apply goes on from there.
        """
        plan, before = self.plan(wish), self.wish()
        gone = [name for name in before.machines if name not in wish.machines] if before else []
        if gone:
            engine.undo({name: self.machine(name) for name in gone}, UNDOERS, on_event=on_event)
        return engine.apply(plan, on_event=on_event)

    def undo(self, *, on_event: OnEvent = engine.unwatched) -> TakenBack:
        """Take back what was made on every machine of the last wish, and nothing else.

        Raises:
            StepFailedError: Something would not go; another undo goes on from there.
        """
        machines = {name: self.machine(name) for name in self.required_wish().machines}
        return engine.undo(machines, UNDOERS, on_event=on_event)

    def workloads(self) -> list[str]:
        """The pods that people run in it, and the volumes, which an undo ends and deletes."""
        shell = self.machine(self._control).shell
        pods = shell.run(("microk8s", "kubectl", "get", "pods", "-A", "--no-headers"))
        volumes = shell.run(("microk8s", "kubectl", "get", "pv", "--no-headers"))
        named = [line.split()[:2] for line in pods.text.splitlines() if pods.ok]
        lost = [f"pod {space}/{name}" for space, name in named if space not in {"kube-system", "gpu-operator"}]
        return lost + [f"volume {line.split()[0]}" for line in volumes.text.splitlines() if volumes.ok and line.strip()]

    def verify(self) -> Iterator[Check]:
        """Prove that the cluster of the last wish works, check by check.

        Raises:
            RefusedError: None was set up from here.
        """
        wish = self.required_wish()
        cluster = self.facts(wish)
        yield from verify(self.machine(self._control).shell, cluster[self._control].user, len(wish.machines))
