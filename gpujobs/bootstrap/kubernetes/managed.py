"""What gpujobs manages inside a Kubernetes cluster, from one machine that has its kubectl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gpujobs.bootstrap import engine
from gpujobs.bootstrap.kubernetes.place import machine_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs.bootstrap.engine import Applied, OnEvent
    from gpujobs.bootstrap.kubernetes.cluster import Cluster
    from gpujobs.bootstrap.kubernetes.place import Place
    from gpujobs.bootstrap.plan import Plan
    from gpujobs.bootstrap.step import Machine

WishT = TypeVar("WishT")


class ManagedInCluster(Generic[WishT]):
    """One thing in one cluster.

    Args:
        host: The machine whose kubectl and helm are used, as a person calls it.
        cluster: The cluster.
        place: Where that machine keeps journals and the lock.
        what: The kind of bootstrap, which names the journal together with the cluster.
        read: Makes a wish of its JSON.
    """

    def __init__(self, host: str, cluster: Cluster, place: Place, *, what: str, read: Callable[[Any], WishT]) -> None:
        self.host = host
        self.cluster = cluster
        self.place = place
        self.what = f"{what}-{cluster.identity()}"
        self.machine: Machine = machine_for(host, cluster.shell, self.what, place)
        self._read = read

    def wish(self) -> WishT | None:
        """What was asked for at the last apply, or None where there was none."""
        kept = self.machine.journal.wish
        return None if kept is None else self._read(kept)

    def carry_out(self, plan: Plan, *, on_event: OnEvent = engine.unwatched) -> Applied:
        """Do what is missing of a plan that was made here.

        Raises:
            StepFailedError: A step failed; another apply goes on from there.
        """
        return engine.apply(plan, on_event=on_event, lock_file=self.place.lock_file)
