"""The device plugin reads its configuration when it starts, and at no other time."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap.errors import BootstrapError
from gpujobs.bootstrap.kubernetes.cluster import Cluster, dig
from gpujobs.bootstrap.kubernetes.facts import parse_node
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gpujobs.bootstrap.kubernetes.access import Access
    from gpujobs.bootstrap.step import Machine

PLUGIN = "app=nvidia-device-plugin-daemonset"
DISCOVERY = "app=gpu-feature-discovery"


@dataclass(frozen=True)
class PluginRestart:
    """Every device plugin has started since its ConfigMap was changed. Nothing stays, so nothing is noted."""

    kind: ClassVar[str] = "plugin-restart"
    host: str
    access: Access
    namespace: str
    config_map: str
    sleep: Callable[[float], None] = time.sleep
    title: str = "Have the device plugins read it"

    @property
    def key(self) -> str:
        """There is one plugin."""
        return "plugin-restart"

    def commands(self) -> tuple[str, ...]:
        """The deletions; the DaemonSets make new pods at once."""
        return tuple(shlex.join(argv) for argv in _deletions(self.access, self.namespace))

    def check(self, machine: Machine) -> Finding:
        """Compare when the pods were made with when the ConfigMap was written."""
        cluster = Cluster(machine.shell, self.access)
        found = cluster.find("configmap", self.config_map, "--show-managed-fields", namespace=self.namespace)
        pods = cluster.items("pods", "-n", self.namespace, "-l", PLUGIN)
        if found is None:
            return Finding(done=False, why="there is nothing to read yet")
        if not pods:
            return Finding(done=False, why="there is no device plugin")
        old = [pod for pod in pods if _made(pod) <= written(found) and not dig(pod, "metadata", "deletionTimestamp")]
        return Finding(done=not old, why=f"{len(old)} of {len(pods)} device plugins are older than their configuration")

    def apply(self, machine: Machine) -> None:
        """Delete the pods, a moment after the write: the API server counts in whole seconds."""
        self.sleep(1.1)
        restart_plugin(Cluster(machine.shell, self.access), self.namespace, sleep=self.sleep)

    @staticmethod
    def undo(_: Machine, _data: Mapping[str, Any]) -> Undone:
        """What changes the configuration back restarts the plugins too."""
        return Undone()


def restart_plugin(cluster: Cluster, namespace: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Have new device plugin pods in place of the present ones, and wait until there are.

    Raises:
        CommandFailedError: The pods may not be deleted.
    """
    for argv in _deletions(cluster.access, namespace):
        cluster.do(argv)
    for _ in range(60):
        pods = cluster.items("pods", "-n", namespace, "-l", PLUGIN)
        if pods and not any(dig(pod, "metadata", "deletionTimestamp") for pod in pods):
            return
        sleep(0.5)


def _deletions(access: Access, namespace: str) -> tuple[tuple[str, ...], ...]:
    words = ("delete", "pods", "-n", namespace, "-l")
    return tuple((*access.kubectl, *words, label, "--ignore-not-found") for label in (PLUGIN, DISCOVERY))


def _made(pod: Mapping[str, Any]) -> datetime:
    return _time(str(dig(pod, "metadata", "creationTimestamp")))


def written(config_map: Mapping[str, Any]) -> datetime:
    """When somebody last wrote the data of a ConfigMap."""
    managed: Sequence[Mapping[str, Any]] = dig(config_map, "metadata", "managedFields") or ()
    times = [_time(str(entry["time"])) for entry in managed if "f:data" in (entry.get("fieldsV1") or {})]
    return max(times, default=_time(str(dig(config_map, "metadata", "creationTimestamp"))))


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Allocatable:
    """The nodes hand out as many as they should. Nothing is made, so nothing is noted.

    Attributes:
        expected: By node: the resource, and how many of it.
    """

    kind: ClassVar[str] = "allocatable"
    host: str
    access: Access
    expected: Mapping[str, tuple[str, int]]
    timeout_s: float
    sleep: Callable[[float], None] = time.sleep
    title: str = "Wait until the nodes hand out that many"

    @property
    def key(self) -> str:
        """There is one wait."""
        return "allocatable"

    def commands(self) -> tuple[str, ...]:
        """The look that is repeated."""
        return (shlex.join((*self.access.kubectl, "get", "nodes", "-o", "json")),)

    def check(self, machine: Machine) -> Finding:
        """Compare the numbers."""
        nodes = [parse_node(node) for node in Cluster(machine.shell, self.access).items("nodes")]
        seen = {node.name: node.allocatable for node in nodes}
        wrong = [
            f"{name} hands out {seen.get(name, {}).get(resource, 0)} {resource} instead of {number}"
            for name, (resource, number) in self.expected.items()
            if seen.get(name, {}).get(resource, 0) != number
        ]
        return Finding(done=not wrong, why="; ".join(wrong))

    def apply(self, machine: Machine) -> None:
        """Wait.

        Raises:
            BootstrapError: They do not in time; the message says how many they hand out.
        """
        waited = 0.0
        while not (finding := self.check(machine)).done:
            if waited >= self.timeout_s:
                raise BootstrapError(
                    f"After {self.timeout_s:g} s {finding.why}.",
                    next_step="The device plugin says why in its log: "
                    + shlex.join((*self.access.kubectl, "logs", "-A", "-l", PLUGIN)),
                )
            self.sleep(1)
            waited += 1

    @staticmethod
    def undo(_: Machine, _data: Mapping[str, Any]) -> Undone:
        """There is nothing to take back."""
        return Undone()
