"""Where the doctor goes, and what is looked at there: a host, or what a target of the configuration is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from gpujobs.bootstrap import client_doctor, gpu_doctor
from gpujobs.bootstrap.kubernetes import checkup as kubernetes
from gpujobs.bootstrap.kubernetes.access import Which
from gpujobs.bootstrap.slurm import checkup as slurm
from gpujobs.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpujobs.bootstrap.doctor import Trouble
    from gpujobs.bootstrap.shell import Shell

    # Looks at a host and returns None where there is nothing of its kind, else the troubles and the machines.
    Checkup = Callable[[str, Callable[[str], Shell]], tuple[list[Trouble], Mapping[str, Shell]] | None]

LOCAL = "localhost"


@dataclass(frozen=True)
class Visit:
    """One visit.

    Attributes:
        host: The machine that is looked at.
        checkups: What is looked at, by name; each says None where there is nothing of its kind.
        ssh_options: Words for ssh that the target names.
    """

    host: str
    checkups: Mapping[str, Checkup]
    ssh_options: tuple[str, ...] = ()


def of_host(host: str) -> Visit:
    """Everything on a machine; on this one gpujobs itself too."""
    checkups: dict[str, Checkup] = {
        "GPUs": gpu_doctor.checkup,
        "Slurm": slurm.checkup,
        "Kubernetes": kubernetes.checkup,
    }
    if host == LOCAL:
        checkups["gpujobs"] = client_doctor.checkup
    return Visit(host, checkups)


def of_target(name: str) -> Visit:
    """What the target runs on: its login node, its cluster, or this machine.

    Raises:
        ConfigError: There is no such target, or the configuration is wrong.
    """
    _, table = Config.load().target(name)
    options: dict[str, Any] = table.options
    mine: Checkup = partial(client_doctor.checkup, targets=(name,))
    if table.backend == "kubernetes":
        which = Which(
            distribution="kubernetes" if options.get("context") or options.get("kubeconfig") else "auto",
            kubeconfig=str(options.get("kubeconfig") or ""),
            context=str(options.get("context") or ""),
        )
        namespace = str(options.get("namespace") or "default")
        cluster: Checkup = partial(kubernetes.checkup, which=which, namespace=namespace)
        return Visit(LOCAL, {"gpujobs": mine, "Kubernetes": cluster})
    if table.backend == "slurm":
        host = str(options.get("host") or LOCAL)
        words = tuple(str(word) for word in options.get("ssh_options") or ())
        return Visit(host, {"gpujobs": mine, "Slurm": slurm.checkup}, words)
    return Visit(LOCAL, {"GPUs": gpu_doctor.checkup, "gpujobs": mine})
