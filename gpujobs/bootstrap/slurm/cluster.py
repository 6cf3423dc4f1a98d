"""A cluster as its owner handles it: plan, apply, undo, and nodes that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.managed import ManagedCluster
from gpujobs.bootstrap.plan import Plan
from gpujobs.bootstrap.slurm import addresses, preflight
from gpujobs.bootstrap.slurm.leftovers import no_longer_wished
from gpujobs.bootstrap.slurm.probes import SlurmFacts, gather_slurm
from gpujobs.bootstrap.slurm.steps import slurm_steps
from gpujobs.bootstrap.slurm.verify import verify
from gpujobs.bootstrap.slurm.wish import SlurmWish
from gpujobs.bootstrap.steps import UNDOERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpujobs.bootstrap.managed import Connect
    from gpujobs.bootstrap.step import Machine
    from gpujobs.bootstrap.verify import Check

WHAT = "slurm"

# $1 = nodes, or nothing for all.
_CANCEL = """
squeue -h >/dev/null 2>&1 || exit 0
for state in PENDING RUNNING SUSPENDED; do scancel --state=$state ${1:+--nodelist="$1"}; done
n=0
while [ -n "$(squeue -h ${1:+--nodelist="$1"})" ] && [ $n -lt 300 ]; do n=$((n + 1)); sleep 0.2; done
"""


class SlurmCluster(ManagedCluster[SlurmWish]):
    """One cluster, found by its controller.

    Args:
        controller: The machine that decides, and keeps what was wished.
        connect: How a machine's name becomes a way to reach it.
    """

    def __init__(self, controller: str, connect: Connect) -> None:
        super().__init__(controller, connect, what=WHAT, title="Slurm", read=SlurmWish.model_validate, undoers=UNDOERS)

    def facts(self, wish: SlurmWish) -> dict[str, SlurmFacts]:
        """Look at every machine.

        Raises:
            UnavailableError: One cannot be reached.
        """
        machines = self.machines(wish)
        reached = addresses.of(wish, machines)
        return {
            name: gather_slurm(machine, address=reached[name], source=wish.source) for name, machine in machines.items()
        }

    def plan(self, wish: SlurmWish) -> Plan:
        """What there is to do.

        Raises:
            RefusedError: It cannot work, or would overwrite what somebody else made.
        """
        cluster = self.facts(wish)
        preflight.refuse(wish, cluster)
        machines = self.machines(wish)
        shells = {name: machine.shell for name, machine in machines.items()}
        # After the rest: the daemons that stay have read by then that the others are no longer there.
        leftovers = no_longer_wished(wish, cluster, machines, shells)
        steps = (*slurm_steps(wish, cluster, shells), *leftovers)
        warnings = (
            *preflight.warnings(wish, cluster),
            *(f"{left.host}: {left.keeps}" for left in leftovers if left.keeps),
        )
        return Plan(WHAT, machines, steps, wish.model_dump(mode="json"), warnings)

    def before_leaving(self, machines: Mapping[str, Machine]) -> None:
        """Cancel the jobs on these machines; with the daemons gone nobody could tell them to end."""
        whole = self.control in machines
        names = [""] if whole else [m.shell.run(("hostname", "-s")).text.strip() for m in machines.values()]
        for nodes in names:
            self.machine(self.control).shell.run(("sh", "-c", _CANCEL, "cancel", nodes), timeout_s=120)

    def verify(self) -> Iterator[Check]:
        """Prove that the cluster of the last wish works, check by check.

        Raises:
            RefusedError: No cluster was set up from here.
        """
        wish = self.required_wish()
        machines = self.machines(wish)
        yield from verify(wish, self.facts(wish), machines)

    def jobs(self) -> int:
        """How many jobs would end with the cluster."""
        listed = self.machine(self.control).shell.run(("squeue", "-h", "-o", "%i"), timeout_s=30)
        return len(listed.text.split()) if listed.ok else 0


def with_node(wish: SlurmWish, node: str) -> SlurmWish:
    """The wish with one more machine that runs jobs."""
    if node in wish.workers:
        raise RefusedError(f"{node} is a node of this cluster already.")
    return wish.replace(nodes=(*wish.workers, node))


def without_node(wish: SlurmWish, node: str) -> SlurmWish:
    """The wish without one of its machines.

    Raises:
        RefusedError: It is no node, or the last one.
    """
    if node not in wish.workers:
        raise RefusedError(f"{node} is no node of this cluster.", next_step=f"Its nodes are {', '.join(wish.workers)}.")
    if len(wish.workers) == 1:
        raise RefusedError(
            f"{node} is the last node of this cluster.",
            next_step="Take the cluster back: gpujobs bootstrap slurm undo.",
        )
    return wish.replace(nodes=tuple(name for name in wish.workers if name != node))
