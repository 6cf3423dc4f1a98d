"""What cannot become a microk8s, and what works less well than asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpujobs.bootstrap.microk8s.probes import Microk8sFacts
    from gpujobs.bootstrap.microk8s.wish import Microk8sWish

_NEEDS_DISK_MIB = 20_000
_HAS_SNAPD = {"ubuntu", "debian"}


def refuse(wish: Microk8sWish, cluster: Mapping[str, Microk8sFacts]) -> None:
    """Refuse what cannot work, before anything is changed.

    Raises:
        RefusedError: With the reason, and what to do.
    """
    for host, facts in cluster.items():
        _refuse_machine(host, facts)
        if not facts.user:
            raise RefusedError(
                f"{host} has no user {wish.user!r}.", next_step="Name one that is there with --user, or leave it out."
            )
        if wish.snap and not facts.channel and not any(path.endswith(".snap") for path in facts.snap_files):
            raise RefusedError(
                f"{wish.snap} on {host} has no microk8s*.snap.",
                next_step="Put it there: `snap download microk8s --channel=...` on a machine with internet.",
            )
    names = [facts.machine.hostname.lower() for facts in cluster.values()]
    if len(set(names)) != len(names):
        raise RefusedError("Two of these machines have the same host name.", next_step="Give one of them another.")


def _refuse_machine(host: str, facts: Microk8sFacts) -> None:
    machine = facts.machine
    if not machine.systemd:
        raise RefusedError(
            f"{host} has no systemd, and snapd does not run without it.",
            next_step="Use a machine or a virtual machine in place of a container.",
        )
    if not facts.snapd and machine.os_id not in _HAS_SNAPD:
        raise RefusedError(
            f"{host} has no snapd, and gpujobs does not install it on {machine.os_name}.",
            next_step="Install it: https://snapcraft.io/docs/installing-snapd.",
        )
    if facts.other:
        raise RefusedError(
            f"Another Kubernetes runs on {host}: {facts.other}.",
            next_step="Use that one: gpujobs bootstrap gpu-operator plan. Two kubelets on one machine do not work.",
        )
    if machine.disk_free_mib < _NEEDS_DISK_MIB and not facts.channel:
        raise RefusedError(
            f"{host} has {machine.disk_free_mib / 1024:.0f} GiB free below /var; microk8s and images need 20.",
            next_step="Make room there.",
        )


def warnings(wish: Microk8sWish, cluster: Mapping[str, Microk8sFacts]) -> Iterator[str]:
    """What a person should know before this is applied."""
    for host, facts in cluster.items():
        if facts.channel and facts.channel != wish.channel:
            yield (
                f"microk8s on {host} follows {facts.channel}, not {wish.channel}, and stays there: "
                f"to change it, `snap refresh microk8s --channel={wish.channel}`"
            )
        if not facts.machine.root:
            yield f"this does not run as root on {host}, so apply could not: use --sudo, or --host root@HOST"
    user = cluster[wish.control].user
    if user != "root":
        yield f"{user} has to log in anew before microk8s works without sudo: groups are given at login"
