"""What a former apply made for options that have been turned off since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.slurm.steps import slurm_steps
from gpujobs.bootstrap.steps import UNDOERS, TakeBack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.slurm.probes import SlurmFacts
    from gpujobs.bootstrap.slurm.wish import SlurmWish
    from gpujobs.bootstrap.step import Machine, Step


def no_longer_wished(
    wish: SlurmWish, cluster: Mapping[str, SlurmFacts], machines: Mapping[str, Machine], shells: Mapping[str, Shell]
) -> tuple[TakeBack, ...]:
    """The notes of the journals that a cluster with everything has and the wish has not, the last one first.

    What is asked is the journal and not the former wish: a run that was killed has changed that already.
    """
    everything = wish.replace(accounting=True, rest=True, nodes=wish.machines)
    unwanted = _keys(slurm_steps(everything, cluster, shells)) - _keys(slurm_steps(wish, cluster, shells))
    return tuple(
        TakeBack(name, entry, UNDOERS[entry.kind])
        for name, machine in machines.items()
        for entry in reversed(tuple(machine.journal))
        if (name, entry.key) in unwanted
    )


def _keys(steps: Iterable[Step]) -> set[tuple[str, str]]:
    return {(step.host, step.key) for step in steps}
