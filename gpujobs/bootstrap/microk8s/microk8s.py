"""A microk8s as its owner handles it: plan, apply, verify, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.managed import ManagedCluster
from gpujobs.bootstrap.microk8s import preflight
from gpujobs.bootstrap.microk8s.group import GroupBefore
from gpujobs.bootstrap.microk8s.join import Join
from gpujobs.bootstrap.microk8s.kubeconfig import KubeconfigContext
from gpujobs.bootstrap.microk8s.leftovers import with_leftovers
from gpujobs.bootstrap.microk8s.network import NetworkBefore
from gpujobs.bootstrap.microk8s.probes import Microk8sFacts, gather_microk8s
from gpujobs.bootstrap.microk8s.steps import microk8s_steps
from gpujobs.bootstrap.microk8s.verify import verify
from gpujobs.bootstrap.microk8s.wish import Microk8sWish
from gpujobs.bootstrap.plan import Plan
from gpujobs.bootstrap.steps import UNDOERS as BASIC_UNDOERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpujobs.bootstrap.engine import Undoer
    from gpujobs.bootstrap.managed import Connect
    from gpujobs.bootstrap.verify import Check

WHAT = "microk8s"
UNDOERS: Mapping[str, Undoer] = {
    **BASIC_UNDOERS,
    **{kind.kind: kind.undo for kind in (GroupBefore, Join, KubeconfigContext, NetworkBefore)},
}


class Microk8s(ManagedCluster[Microk8sWish]):
    """One microk8s, found by the machine that decides.

    Args:
        control: That machine; it keeps what was wished.
        connect: How a machine's name becomes a way to reach it.
    """

    def __init__(self, control: str, connect: Connect) -> None:
        super().__init__(
            control, connect, what=WHAT, title="microk8s", read=Microk8sWish.model_validate, undoers=UNDOERS
        )

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
        machines = self.machines(wish)
        shells = {name: machine.shell for name, machine in machines.items()}
        steps = with_leftovers(microk8s_steps(wish, cluster, shells), machines[self.control], UNDOERS)
        return Plan(WHAT, machines, steps, wish.model_dump(mode="json"), tuple(preflight.warnings(wish, cluster)))

    def workloads(self) -> list[str]:
        """The pods that people run in it, and the volumes, which an undo ends and deletes."""
        shell = self.machine(self.control).shell
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
        yield from verify(self.machine(self.control).shell, cluster[self.control].user, len(wish.machines))
