"""The steps to a microk8s: the commands that a person would run, in their order."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from gpujobs.bootstrap.kubernetes.wait import Wait
from gpujobs.bootstrap.microk8s.group import GROUP, GroupBefore
from gpujobs.bootstrap.microk8s.join import Join
from gpujobs.bootstrap.microk8s.kubeconfig import KubeconfigContext
from gpujobs.bootstrap.microk8s.network import NetworkBefore
from gpujobs.bootstrap.steps import Command, Packages, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpujobs.bootstrap.microk8s.probes import Microk8sFacts
    from gpujobs.bootstrap.microk8s.wish import Microk8sWish
    from gpujobs.bootstrap.shell import Argv, Shell
    from gpujobs.bootstrap.step import Step

_LIST: Argv = ("snap", "list", "microk8s")
_SNAP_S = 1800
READY = "wait:ready"
"""The key of the step after which microk8s takes commands."""


def microk8s_steps(
    wish: Microk8sWish, cluster: Mapping[str, Microk8sFacts], shells: Mapping[str, Shell]
) -> tuple[Step, ...]:
    """All steps, the deciding machine's first."""
    control = wish.control
    steps: list[Step] = [
        *_installed(wish, control, cluster[control]),
        *_user(control, cluster[control]),
        _ready(control),
        *(_addon(control, name) for name in wish.addons),
        _alias(control),
        _kubeconfig(wish, cluster[control]),
    ]
    for worker in wish.workers:
        steps += _installed(wish, worker, cluster[worker])
        steps += _user(worker, cluster[worker])
        steps += _joined(wish, worker, cluster[worker], shells)
    return tuple(steps)


def _installed(wish: Microk8sWish, host: str, facts: Microk8sFacts) -> Iterator[Step]:
    yield NetworkBefore(host)
    yield GroupBefore(host)
    if not facts.snapd:
        yield Packages(host, "Install snapd", ("snapd",))
    yield Command(
        host,
        "Install microk8s",
        "install",
        probe=_LIST,
        run=_install(wish, facts),
        undo_run=(_if_installed("snap", "remove", "--purge", "microk8s"),),
        timeout_s=_SNAP_S,
    )
    yield Command(
        host,
        "Hold its refreshes: each one restarts containerd",
        "hold",
        probe=_LIST,
        expect=r"^microk8s\s.*\bheld\b",
        run=(("snap", "refresh", "--hold", "microk8s"),),
        undo_run=(_if_installed("snap", "refresh", "--unhold", "microk8s"),),
    )


def _install(wish: Microk8sWish, facts: Microk8sFacts) -> tuple[Argv, ...]:
    if not wish.snap:
        return (("snap", "install", "microk8s", "--classic", f"--channel={wish.channel}"),)
    assertions = [path for path in facts.snap_files if path.endswith(".assert")]
    snaps = [path for path in facts.snap_files if path.endswith(".snap")]
    return (*(("snap", "ack", path) for path in assertions), ("snap", "install", snaps[-1], "--classic"))


def _user(host: str, facts: Microk8sFacts) -> Iterator[Step]:
    if facts.user == "root":
        return
    yield Command(
        host,
        f"Let {facts.user} use it without sudo",
        "group",
        probe=("id", "-nG", facts.user),
        expect=rf"(^|\s){GROUP}(\s|$)",
        run=(("usermod", "-a", "-G", GROUP, facts.user),),
        undo_run=(guarded(f'id -nG -- "$3" | grep -qw {GROUP}', "gpasswd", "-d", facts.user, GROUP),),
    )


def _ready(host: str) -> Wait:
    return Wait(
        host,
        "Wait until it is ready",
        READY.partition(":")[2],
        probe=("microk8s", "status"),
        expect="^microk8s is running",
        run=("microk8s", "status", "--wait-ready", "--timeout", "600"),
    )


def _addon(host: str, name: str) -> Command:
    plain = name.partition(":")[0]
    return Command(
        host,
        f"Enable {plain}",
        f"addon-{plain}",
        probe=("microk8s", "status", "--addon", plain),
        expect="^enabled$",
        run=(("microk8s", "enable", name),),
        undo_run=(_if_installed("microk8s", "disable", plain),),
        settle_s=60,
    )


def _alias(host: str) -> Command:
    return Command(
        host,
        "Have a kubectl, where there is none",
        "alias",
        probe=("sh", "-c", "command -v kubectl || ls /snap/bin/kubectl"),
        run=(("snap", "alias", "microk8s.kubectl", "kubectl"),),
        undo_run=(_if_installed("snap", "unalias", "kubectl"),),
    )


def _kubeconfig(wish: Microk8sWish, facts: Microk8sFacts) -> KubeconfigContext:
    path, owner = f"{facts.home}/.kube/config", f"{facts.user}:{facts.group}"
    return KubeconfigContext(wish.control, f"Add it to the kubeconfig of {facts.user}", path, owner, wish.context)


def _joined(wish: Microk8sWish, worker: str, facts: Microk8sFacts, shells: Mapping[str, Shell]) -> Iterator[Step]:
    yield _ready(worker)
    yield Join(worker, f"Join the cluster of {wish.control}", shells[wish.control])
    node = facts.machine.hostname.lower()
    yield Command(
        wish.control,
        f"Wait until {node} is one of its nodes",
        f"node-{node}",
        probe=("microk8s", "kubectl", "get", "node", node, "--no-headers"),
        expect=r"\sReady\b",
        run=(),
        undo_run=(_if_installed("microk8s", "remove-node", node, "--force"),),
        settle_s=300,
    )


def _if_installed(*argv: str) -> Argv:
    """The command, or nothing where somebody has removed microk8s already."""
    return guarded(f"{shlex.join(_LIST)} >/dev/null 2>&1", *argv)
