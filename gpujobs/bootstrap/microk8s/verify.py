"""Whether a microk8s works for the user it was made for."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from gpujobs.bootstrap.gpu_operator.steps import unready
from gpujobs.bootstrap.kubernetes.facts import parse_node
from gpujobs.bootstrap.microk8s.group import GROUP
from gpujobs.bootstrap.verify import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.bootstrap.shell import Argv, Completed, Shell


def verify(shell: Shell, user: str, machines: int) -> Iterator[Check]:
    """Prove it, as that user: version, nodes, pods.

    Raises:
        UnavailableError: The machine cannot be reached.
    """
    version = shell.run(as_user(user, ("microk8s", "kubectl", "version")))
    yield Check(f"{user} can use it", version.ok, _said(version) if version.ok else version.last_line)
    if user != "root":
        yield _group_check(shell, user)
    if not version.ok:
        return
    yield _nodes_check(shell.run(as_user(user, ("microk8s", "kubectl", "get", "nodes", "-o", "json"))), machines)
    yield _pods_check(shell.run(as_user(user, ("microk8s", "kubectl", "get", "pods", "-A", "-o", "json"))))


def as_user(user: str, argv: Argv) -> Argv:
    """A command as a user whose present login may be older than the group; ``sg`` gives the group to this one."""
    if user == "root":
        return argv
    return ("runuser", "-u", user, "--", "sg", GROUP, "-c", shlex.join(argv))


def _group_check(shell: Shell, user: str) -> Check:
    member = GROUP in shell.run(("id", "-nG", user)).text.split()
    hint = f"shells of {user} that were open before need a new login, or `newgrp {GROUP}`"
    return Check(f"{user} is in the group {GROUP}", member, hint if member else f"run: usermod -a -G {GROUP} {user}")


def _nodes_check(completed: Completed, machines: int) -> Check:
    nodes = [parse_node(node) for node in _items(completed)]
    ready = [node.name for node in nodes if node.ready]
    shown = ", ".join(f"{node.name} {node.version}{'' if node.ready else ' not ready'}" for node in nodes)
    return Check("Every node is ready", len(ready) == len(nodes) >= machines, shown)


def _pods_check(completed: Completed) -> Check:
    pods = _items(completed)
    waiting = [said for said in map(unready, pods) if said]
    detail = "; ".join(waiting[:3]) if waiting else f"{len(pods)} pods"
    return Check("Every pod is ready", bool(pods) and not waiting, detail, "\n".join(waiting))


def _items(completed: Completed) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(completed.stdout)["items"] if completed.ok else []
    return found


def _said(completed: Completed) -> str:
    return ", ".join(line.strip() for line in completed.text.splitlines() if line.strip())
