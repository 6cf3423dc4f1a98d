"""Steps on objects of the API server: each notes how it was before."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import yaml

from gpujobs.bootstrap.gpu_sharing.config import noted, spoken
from gpujobs.bootstrap.gpu_sharing.plugin import restart_plugin
from gpujobs.bootstrap.kubernetes.access import Access
from gpujobs.bootstrap.kubernetes.cluster import Cluster, dig, table
from gpujobs.bootstrap.kubernetes.facts import POLICY
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.step import Machine


@dataclass(frozen=True)
class SharingConfigMap:
    """The ConfigMap of the device plugin, with exactly this data. It is the first step, so an undo ends with it.

    Attributes:
        numbers: What each node hands out before, for an undo to wait for.
    """

    kind: ClassVar[str] = "sharing-config-map"
    host: str
    access: Access
    manifest: Mapping[str, Any]
    numbers: Mapping[str, Mapping[str, int]]
    title: str = "Write how GPUs are shared"

    @property
    def _name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def _namespace(self) -> str:
        return str(self.manifest["metadata"]["namespace"])

    @property
    def key(self) -> str:
        """Namespace and name make it one of a kind."""
        return f"config-map:{self._namespace}/{self._name}"

    def commands(self) -> tuple[str, ...]:
        """The manifest, as kubectl is given it."""
        text = yaml.safe_dump(dict(self.manifest), sort_keys=False)
        return (f"{shlex.join((*self.access.kubectl, 'apply', '--server-side', '-f', '-'))} <<'EOF'\n{text}EOF",)

    def check(self, machine: Machine) -> Finding:
        """Compare the data."""
        found = Cluster(machine.shell, self.access).find("configmap", self._name, namespace=self._namespace)
        if found is None:
            return Finding(done=False, why="there is no such ConfigMap")
        same = found.get("data") == self.manifest["data"]
        return Finding(done=same, why="" if same else "its data is another")

    def apply(self, machine: Machine) -> None:
        """Write it as a whole: a key that is wanted no more must not stay."""
        cluster = Cluster(machine.shell, self.access)
        found = cluster.find("configmap", self._name, namespace=self._namespace)
        data = {
            "access": self.access.model_dump(mode="json"),
            "name": self._name,
            "namespace": self._namespace,
            "before": None if found is None else (found.get("data") or {}),
            "numbers": self.numbers,
        }
        machine.journal.begin(self.key, self.kind, self.title, data)
        machine.journal.update(self.key, wrote=self.manifest["data"])
        _write(cluster, self.manifest, found)

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Put back the former data, or take the ConfigMap away, and have the plugins read it."""
        cluster = Cluster(machine.shell, Access.model_validate(data["access"]))
        name, namespace, before = data["name"], data["namespace"], data["before"]
        found = cluster.find("configmap", name, namespace=namespace)
        if found is None:
            return Undone()
        if found.get("data") != data["wrote"]:
            return Undone(f"the ConfigMap {namespace}/{name} stays: somebody has edited it since")
        if before is None:
            cluster.do(cluster.kubectl("delete", "configmap", name, "-n", namespace, "--ignore-not-found"))
            return Undone()
        _write(cluster, {**found, "metadata": {"name": name, "namespace": namespace}, "data": before}, found)
        restart_plugin(cluster, namespace)
        return Undone()


def _write(cluster: Cluster, manifest: Mapping[str, Any], found: Mapping[str, Any] | None) -> None:
    if found is None:
        cluster.apply(dict(manifest))
        return
    gone = {key: None for key in table(found, "data") if key not in manifest["data"]}
    patch = json.dumps({"data": {**gone, **manifest["data"]}})
    metadata = manifest["metadata"]
    words = ("patch", "configmap", metadata["name"], "-n", metadata["namespace"], "--type=merge", "-p", patch)
    cluster.do(cluster.kubectl(*words))


@dataclass(frozen=True)
class PolicySettings:
    """The ClusterPolicy says so: helm has mostly written it already, but a hand may have been there since."""

    kind: ClassVar[str] = "cluster-policy"
    host: str
    access: Access
    name: str
    settings: Mapping[str, Mapping[str, Any]]
    title: str = "Tell the operator to apply it"

    @property
    def key(self) -> str:
        """There is one policy."""
        return f"cluster-policy:{self.name}"

    def _argv(self) -> tuple[str, ...]:
        patch = json.dumps({"spec": self.settings})
        return (*self.access.kubectl, "patch", POLICY, self.name, "--type=merge", "-p", patch)

    def commands(self) -> tuple[str, ...]:
        """The patch."""
        return (shlex.join(self._argv()),)

    def check(self, machine: Machine) -> Finding:
        """Compare what it says of sharing."""
        found = Cluster(machine.shell, self.access).find(POLICY, self.name)
        now = spoken(found, self.settings)
        return Finding(done=now == self.settings, why=f"its spec says {json.dumps(now)}")

    def apply(self, machine: Machine) -> None:
        """Patch it."""
        cluster = Cluster(machine.shell, self.access)
        before = spoken(cluster.find(POLICY, self.name), self.settings)
        data = {"access": self.access.model_dump(mode="json"), "name": self.name, "before": before}
        entry = machine.journal.begin(self.key, self.kind, self.title, data)
        machine.journal.update(self.key, before=noted(before, entry.data["before"]))  # a later wish has more keys
        cluster.do(self._argv())

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Patch back what it said; a key it did not have goes."""
        cluster = Cluster(machine.shell, Access.model_validate(data["access"]))
        if cluster.find(POLICY, data["name"]) is not None:
            patch = json.dumps({"spec": data["before"]})
            cluster.do(cluster.kubectl("patch", POLICY, data["name"], "--type=merge", "-p", patch))
        return Undone()


@dataclass(frozen=True)
class NodeLabel:
    """A label on a node, by which it gets a configuration of its own; None: it must not have one."""

    kind: ClassVar[str] = "node-label"
    host: str
    access: Access
    node: str
    label: str
    value: str | None
    title: str

    @property
    def key(self) -> str:
        """Node and label make it one of a kind."""
        return f"node-label:{self.node}/{self.label}"

    def _argv(self) -> tuple[str, ...]:
        return label_command(self.access, self.node, self.label, self.value)

    def commands(self) -> tuple[str, ...]:
        """The kubectl label command."""
        return (shlex.join(self._argv()),)

    def check(self, machine: Machine) -> Finding:
        """Look at the node."""
        now = _label(Cluster(machine.shell, self.access), self.node, self.label)
        return Finding(done=now == self.value, why=f"it is {now!r}" if now else "it has none")

    def apply(self, machine: Machine) -> None:
        """Set it, or take it off."""
        cluster = Cluster(machine.shell, self.access)
        before = _label(cluster, self.node, self.label)
        data = {"access": self.access.model_dump(mode="json"), "node": self.node, "label": self.label, "before": before}
        machine.journal.begin(self.key, self.kind, self.title, data)
        cluster.do(self._argv())

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Set it to what it was, or take it off."""
        access = Access.model_validate(data["access"])
        cluster = Cluster(machine.shell, access)
        if cluster.find("node", data["node"]) is not None:
            cluster.do(label_command(access, data["node"], data["label"], data["before"]))
        return Undone()


def _label(cluster: Cluster, node: str, label: str) -> str | None:
    found: str | None = dig(cluster.find("node", node), "metadata", "labels", label)
    return found


def label_command(access: Access, node: str, label: str, value: str | None) -> tuple[str, ...]:
    """The command that sets a label, or takes it off where there is no value."""
    words = ("--overwrite", f"{label}={value}") if value is not None else (f"{label}-",)
    return (*access.kubectl, "label", "node", node, *words)
