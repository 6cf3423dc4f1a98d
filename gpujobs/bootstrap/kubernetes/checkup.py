"""The doctor's visit to a Kubernetes cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.doctor import Trouble
from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.kubernetes.access import Which, choose
from gpujobs.bootstrap.kubernetes.cluster import Cluster
from gpujobs.bootstrap.kubernetes.doctor import diagnose
from gpujobs.bootstrap.kubernetes.evidence import collect
from gpujobs.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs.bootstrap.shell import Shell


def checkup(
    host: str, connect: Callable[[str], Shell], *, which: Which | None = None, namespace: str = "default"
) -> tuple[list[Trouble], dict[str, Shell]] | None:
    """The troubles of the cluster that this host's kubectl speaks to, or None where it speaks to none.

    Args:
        host: The machine whose kubectl is used.
        connect: How to reach it.
        which: Which cluster; one that is named has to be there.
        namespace: Where workloads are to run.

    Raises:
        UnavailableError: The machine cannot be reached.
        RefusedError: A cluster was named, and the machine has no kubectl.
    """
    shell = connect(host)
    try:
        access = choose(shell, which or Which())
    except RefusedError:
        if which is not None:
            raise
        return None
    cluster = Cluster(shell, access)
    named = which is not None or access.microk8s
    if not named and not shell.run(cluster.kubectl("config", "current-context")).ok:
        return None  # a kubectl that was never told of a cluster
    try:
        troubles = diagnose(collect(host, cluster, namespace))
    except UnavailableError as e:
        troubles = [_silent(host, e, microk8s=access.microk8s)]
    return troubles, {host: shell}


def _silent(host: str, error: UnavailableError, *, microk8s: bool) -> Trouble:
    what = "the cluster does not answer"
    if microk8s:
        return Trouble(host, what, error.message, (("microk8s", "start"),), safe=True, advice="See `microk8s inspect`.")
    return Trouble(host, what, error.message, advice=error.next_step or "Check the kubeconfig and the network.")
