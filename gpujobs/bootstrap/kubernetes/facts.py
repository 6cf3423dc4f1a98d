"""What there is of GPUs, and of the GPU Operator, in a cluster: pure parsers of what kubectl and helm print."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field

from gpujobs._model import Model
from gpujobs.bootstrap.errors import BootstrapError, CommandFailedError
from gpujobs.bootstrap.kubernetes.cluster import dig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpujobs.bootstrap.kubernetes.cluster import Cluster, Json

_T = TypeVar("_T")

GPU = "nvidia.com/gpu"
SHARED = "nvidia.com/gpu.shared"
MIG = "nvidia.com/mig-"
POLICY = "clusterpolicies.nvidia.com"
_CHART = re.compile(r"gpu-operator-(v?\d.*)")


class NodeFact(Model):
    """A node, as far as GPUs go.

    Attributes:
        allocatable: What it hands out, by resource: ``nvidia.com/gpu``, ``nvidia.com/mig-1g.10gb``.
        capacity: What its device plugin knows, ill GPUs included.
        labels: Those of NVIDIA, and the host name.
        taints: As ``key=value:effect``.
    """

    name: str
    ready: bool
    cordoned: bool = False
    allocatable: dict[str, int] = Field(default_factory=dict)
    capacity: dict[str, int] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    taints: tuple[str, ...] = ()
    version: str = ""
    runtime: str = ""

    @property
    def gpus(self) -> int:
        """How many GPU units of any kind it hands out."""
        return sum(self.allocatable.values())

    @property
    def has_gpu(self) -> bool:
        """Whether a GPU was ever seen on it: by its device plugin, or on its PCI bus (vendor 10de)."""
        return any(self.capacity.values()) or any(
            name.startswith("feature.node.kubernetes.io/pci-") and "10de" in name and value == "true"
            for name, value in self.labels.items()
        )

    @property
    def physical(self) -> int:
        """How many GPUs GPU feature discovery counted; 0 where it has not."""
        count = self.labels.get("nvidia.com/gpu.count", "")
        return int(count) if count.isdigit() else 0


class Release(Model):
    """The helm release of the GPU Operator.

    Attributes:
        status: ``deployed``, ``failed``, ``pending-install``, ...
        values: What was given by whoever installed it.
    """

    name: str
    namespace: str
    version: str
    status: str
    revision: int
    values: dict[str, Any] = Field(default_factory=dict)

    @property
    def pending(self) -> bool:
        """Whether a helm is at work on it, or was killed while it was."""
        return self.status.startswith("pending-")


class Policy(Model):
    """The ClusterPolicy: what the operator was told."""

    name: str
    state: str = ""
    config_name: str = ""
    config_default: str = ""
    mig_strategy: str = ""


class ClusterFacts(Model):
    """A cluster as it was found."""

    identity: str
    nodes: tuple[NodeFact, ...]
    release: Release | None = None
    policy: Policy | None = None
    runtime_classes: tuple[str, ...] = ()

    def node(self, name: str) -> NodeFact | None:
        """The node of that name."""
        return next((node for node in self.nodes if node.name == name), None)


def gather_cluster(cluster: Cluster, *, unseen: list[str] | None = None) -> ClusterFacts:
    """Look at a cluster; nothing is changed.

    Args:
        cluster: Where.
        unseen: Takes the kinds that these credentials may not see; without it that is an error.

    Raises:
        UnavailableError: It cannot be reached.
        BootstrapError: Something may not be seen, and ``unseen`` is not given.
    """

    def part(name: str, look: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return look()
        except BootstrapError:
            if unseen is None:
                raise
            unseen.append(name)
            return otherwise

    nothing: list[Json] = []
    policies = part(POLICY, lambda: cluster.items(POLICY), nothing)
    classes = part("runtimeclasses", lambda: cluster.items("runtimeclasses"), nothing)
    return ClusterFacts(
        identity=part("namespaces", cluster.identity, ""),
        nodes=tuple(parse_node(node) for node in part("nodes", lambda: cluster.items("nodes"), nothing)),
        release=part("helm releases", lambda: find_release(cluster), None),
        policy=parse_policy(policies[0]) if policies else None,
        runtime_classes=tuple(str(dig(item, "metadata", "name")) for item in classes),
    )


def find_release(cluster: Cluster) -> Release | None:
    """The release whose chart is gpu-operator, in whatever state and namespace; None too where there is no helm.

    Raises:
        CommandFailedError: helm is there, and cannot list.
    """
    if not cluster.ask(cluster.helm("version", "--short")).ok:
        return None
    row = parse_releases(cluster.do(cluster.helm("list", "-A", "-a", "-o", "json")).text)
    if row is None:
        return None
    asked = cluster.ask(cluster.helm("get", "values", row.name, "-n", row.namespace, "-o", "json"))
    if not asked.ok:
        raise CommandFailedError(cluster.shell.name, asked)
    values: dict[str, Any] = json.loads(asked.stdout) or {}
    return row.model_copy(update={"values": values})


# [{"name":"gpu-operator","namespace":"gpu-operator","revision":"1","updated":"2026-11-24 06:30:01.1 +0000 UTC",
#   "status":"deployed","chart":"gpu-operator-v25.10.1","app_version":"v25.10.1"}]
def parse_releases(text: str) -> Release | None:
    """The row of the GPU Operator in ``helm list -A -a -o json``; what was uninstalled does not count."""
    rows: list[Mapping[str, Any]] = json.loads(text or "[]")
    for row in rows:
        chart = _CHART.fullmatch(str(row["chart"]))
        if chart and row["status"] not in {"uninstalled", "uninstalling"}:
            return Release(
                name=row["name"], namespace=row["namespace"], version=chart[1], status=row["status"],
                revision=int(row["revision"]),
            )  # fmt: skip
    return None


def parse_node(node: Json) -> NodeFact:
    """One Node object."""
    info: Mapping[str, str] = dig(node, "status", "nodeInfo") or {}
    labels: Mapping[str, str] = dig(node, "metadata", "labels") or {}
    conditions: list[Mapping[str, str]] = dig(node, "status", "conditions") or []
    taints: list[Mapping[str, str]] = dig(node, "spec", "taints") or []
    kept = ("nvidia.com/", "feature.node.kubernetes.io/pci-", "kubernetes.io/hostname")
    return NodeFact(
        name=str(dig(node, "metadata", "name")),
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in conditions),
        cordoned=bool(dig(node, "spec", "unschedulable")),
        allocatable=_gpus(dig(node, "status", "allocatable")),
        capacity=_gpus(dig(node, "status", "capacity")),
        labels={name: value for name, value in labels.items() if name.startswith(kept)},
        taints=tuple(f"{t['key']}={t.get('value', '')}:{t.get('effect', '')}" for t in taints),
        version=info.get("kubeletVersion", ""),
        runtime=info.get("containerRuntimeVersion", ""),
    )


def _gpus(resources: Mapping[str, str] | None) -> dict[str, int]:
    return {
        name: int(number)
        for name, number in (resources or {}).items()
        if (name in {GPU, SHARED} or name.startswith(MIG)) and number.isdigit()
    }


def parse_policy(policy: Json) -> Policy:
    """One ClusterPolicy object."""
    return Policy(
        name=str(dig(policy, "metadata", "name")),
        state=dig(policy, "status", "state") or "",
        config_name=dig(policy, "spec", "devicePlugin", "config", "name") or "",
        config_default=dig(policy, "spec", "devicePlugin", "config", "default") or "",
        mig_strategy=dig(policy, "spec", "mig", "strategy") or "",
    )
