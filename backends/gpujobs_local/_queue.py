"""Who may start: first come first served, and past a waiting job only what it could never use. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpujobs_local._match import eligible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs_local._gpus import Device
    from gpujobs_local._match import Demand, Machine
    from gpujobs_local._records import Queued


@dataclass(slots=True)
class Turn:
    """One walk through the queue: what is free, and what those ahead are waiting for.

    Attributes:
        cpus: CPUs not asked for by running tasks.
        memory: Bytes, likewise.
        slots: How many more supervisors may be started.
    """

    machine: Machine
    cpus: float
    memory: int
    slots: int
    reserved: set[str] = field(default_factory=set[str])
    """GPUs that a job further ahead waits for: whoever comes later must do without them."""
    cpus_wanted: bool = False
    memory_wanted: bool = False
    known: dict[Demand, Sequence[Device]] = field(default_factory=dict["Demand", "Sequence[Device]"])
    """What each demand could use: in a long queue many ask alike."""
    refused: set[str] = field(default_factory=set[str])
    """What jobs that wait ask for: who comes later and asks the same has to wait too, and need not be looked at."""

    def candidates(self, job: Queued) -> Sequence[Device] | None:
        """The GPUs to try for the next task of a job, or None where it must wait; then what it could use is kept."""
        if job.wants in self.refused:
            return None
        fits = self._fits(job)
        devices = self._eligible(job.demand)
        if len(devices) < job.demand.gpus:
            return None  # a GPU is gone since it was taken: it holds up nobody
        open_ = [d for d in devices if d.uuid not in self.reserved]
        if not fits or len(open_) < job.demand.gpus:
            self.wait(job)
            return None
        return open_

    def wait(self, job: Queued) -> None:
        """A job waits: all it could use is kept for it."""
        if job.demand.count:
            self.reserved.update(d.uuid for d in self._eligible(job.demand))
        self.cpus_wanted = self.cpus_wanted or job.cpus > 0
        self.memory_wanted = self.memory_wanted or job.memory > 0
        if job.wants is not None:
            self.refused.add(job.wants)

    def take(self, job: Queued) -> None:
        """A task of a job was started."""
        self.cpus -= job.cpus
        self.memory -= job.memory
        self.slots -= 1

    def _eligible(self, demand: Demand) -> Sequence[Device]:
        if not demand.count:
            return ()
        if demand not in self.known:
            self.known[demand] = eligible(self.machine.devices, demand, self.machine.memory)
        return self.known[demand]

    def _fits(self, job: Queued) -> bool:
        if self.slots <= 0:
            return False
        if job.cpus and (self.cpus_wanted or job.cpus > self.cpus):
            return False
        return not (job.memory and (self.memory_wanted or job.memory > self.memory))
