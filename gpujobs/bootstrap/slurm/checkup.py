"""The doctor's visit to a Slurm cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.slurm.cluster import SlurmCluster
from gpujobs.bootstrap.slurm.doctor import diagnose
from gpujobs.bootstrap.slurm.evidence import has_slurm, look

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs.bootstrap.doctor import Trouble
    from gpujobs.bootstrap.shell import Shell


def checkup(host: str, connect: Callable[[str], Shell]) -> tuple[list[Trouble], dict[str, Shell]] | None:
    """The troubles and the machines of the cluster that this host controls, or None where it has no Slurm.

    A cluster that gpujobs did not set up is looked at on this host alone.

    Raises:
        UnavailableError: A machine cannot be reached.
    """
    cluster = SlurmCluster(host, connect)
    if not has_slurm(cluster.machine(host).shell):
        return None
    wish = cluster.wish()
    shells = {name: cluster.machine(name).shell for name in (wish.machines if wish else (host,))}
    return diagnose(look(shells)), shells
