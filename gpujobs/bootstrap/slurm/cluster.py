"""A cluster as its owner handles it: plan, apply, undo, and nodes that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap import engine
from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.journal import Journal
from gpujobs.bootstrap.plan import Plan
from gpujobs.bootstrap.slurm import addresses, preflight
from gpujobs.bootstrap.slurm.probes import SlurmFacts, gather_slurm
from gpujobs.bootstrap.slurm.steps import slurm_steps
from gpujobs.bootstrap.slurm.verify import verify
from gpujobs.bootstrap.slurm.wish import SlurmWish
from gpujobs.bootstrap.step import Machine
from gpujobs.bootstrap.steps import UNDOERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gpujobs.bootstrap.engine import Applied, OnEvent, TakenBack
    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.verify import Check

    Connect = Callable[[str], Shell]

WHAT = "slurm"

# $1 = nodes, or nothing for all. Before anything is stopped: with the daemons gone nobody could tell the jobs.
_CANCEL = """
squeue -h >/dev/null 2>&1 || exit 0
for state in PENDING RUNNING SUSPENDED; do scancel --state=$state ${1:+--nodelist="$1"}; done
n=0
while [ -n "$(squeue -h ${1:+--nodelist="$1"})" ] && [ $n -lt 300 ]; do n=$((n + 1)); sleep 0.2; done
"""


class SlurmCluster:
    """One cluster, found by its controller.

    Args:
        controller: The machine that decides, and keeps what was wished.
        connect: How a machine's name becomes a way to reach it.
    """

    def __init__(self, controller: str, connect: Connect) -> None:
        self._controller = controller
        self._connect = connect
        self._machines: dict[str, Machine] = {}

    def machine(self, name: str) -> Machine:
        """One machine of the cluster, reached once."""
        if name not in self._machines:
            shell = self._connect(name)
            self._machines[name] = Machine(name, shell, Journal(shell, WHAT))
        return self._machines[name]

    def wish(self) -> SlurmWish | None:
        """What was asked for at the last apply, or None where there was none."""
        kept = self.machine(self._controller).journal.wish
        return None if kept is None else SlurmWish.model_validate(kept)

    def required_wish(self) -> SlurmWish:
        """What was asked for at the last apply.

        Raises:
            RefusedError: There was none.
        """
        wish = self.wish()
        if wish is None:
            raise RefusedError(
                f"No bootstrap of gpujobs has set up Slurm on {self._controller}.",
                next_step="Run `gpujobs bootstrap slurm plan` to see what one would do.",
            )
        return wish

    def facts(self, wish: SlurmWish) -> dict[str, SlurmFacts]:
        """Look at every machine.

        Raises:
            UnavailableError: One cannot be reached.
        """
        machines = {name: self.machine(name) for name in wish.machines}
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
        machines = {name: self.machine(name) for name in wish.machines}
        shells = {name: machine.shell for name, machine in machines.items()}
        steps = slurm_steps(wish, cluster, shells)
        return Plan(WHAT, machines, steps, wish.model_dump(mode="json"), preflight.warnings(wish, cluster))

    def apply(self, plan: Plan, *, on_event: OnEvent | None = None, unreachable: bool = False) -> Applied:
        """Do what is missing of a plan; machines that are no longer in it are taken back first.

        Args:
            plan: As ``plan`` made it.
            on_event: Called as things go.
            unreachable: Whether machines that are no longer in it are gone for good, and are left alone.

        Raises:
            StepFailedError: A step failed; another apply goes on from there.
        """
        watch = on_event or engine.unwatched
        before = self.wish()
        gone = [name for name in before.machines if name not in plan.machines] if before else []
        if gone and not unreachable:
            for name in gone:
                self._cancel_jobs(self.machine(name).shell.run(("hostname", "-s")).text.strip())
            engine.undo({name: self.machine(name) for name in gone}, UNDOERS, on_event=watch)
        return engine.apply(plan, on_event=watch)

    def undo(self, *, on_event: OnEvent | None = None) -> TakenBack:
        """Take back what was made on every machine of the last wish, and nothing else.

        Raises:
            StepFailedError: Something could not be taken back; another undo goes on from there.
        """
        wish = self.required_wish()
        machines = {name: self.machine(name) for name in wish.machines}
        self._cancel_jobs("")
        return engine.undo(machines, UNDOERS, on_event=on_event or engine.unwatched)

    def _cancel_jobs(self, nodes: str) -> None:
        self.machine(self._controller).shell.run(("sh", "-c", _CANCEL, "cancel", nodes), timeout_s=120)

    def verify(self) -> Iterator[Check]:
        """Prove that the cluster of the last wish works, check by check.

        Raises:
            RefusedError: No cluster was set up from here.
        """
        wish = self.required_wish()
        machines = {name: self.machine(name) for name in wish.machines}
        yield from verify(wish, self.facts(wish), machines)

    def jobs(self) -> int:
        """How many jobs would end with the cluster."""
        listed = self.machine(self._controller).shell.run(("squeue", "-h", "-o", "%i"), timeout_s=30)
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
