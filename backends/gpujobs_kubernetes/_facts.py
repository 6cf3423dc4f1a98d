"""What rendering needs to know about a cluster, and nothing more: plain data, so that rendering stays pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpujobs_kubernetes._quantity import whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GPU = "nvidia.com/gpu"
SHARED = "nvidia.com/gpu.shared"
MIG = "nvidia.com/mig-"
PRODUCT = "nvidia.com/gpu.product"
MEMORY = "nvidia.com/gpu.memory"
STRATEGY = "nvidia.com/gpu.sharing-strategy"
COPIES = "nvidia.com/gpu.replicas"

_MODERN = (1, 99)
# Taints that controllers set for as long as something lasts: not ready, unreachable, cordoned, disk pressure...
_PASSING = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node as far as GPUs go.

    Attributes:
        gpus: What it may hand out, by resource name.
        taints: Those that stay until somebody removes them.
        unready: Why it takes no new work at the moment, or empty.
    """

    name: str
    gpus: Mapping[str, int]
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, Any], ...] = ()
    unready: str = ""
    cpus: float = 0.0
    memory: int = 0

    @property
    def product(self) -> str:
        """The GPU product as GPU feature discovery labels it, or empty."""
        return self.labels.get(PRODUCT, "")

    @property
    def strategy(self) -> str:
        """``exclusive``, ``time-slice`` or ``mps``: how one GPU is handed out."""
        found = self.labels.get(STRATEGY, "none")
        if SHARED in self.gpus or found == "time-slicing":
            return "time-slice"
        return "mps" if found == "mps" else "exclusive"


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out about a cluster.

    Attributes:
        version: (major, minor) of the API server.
        nodes: None where we may not look at nodes.
        runtime_class: The RuntimeClass for GPU pods, or None for none.
        kueue: Whether Kueue's API is served; None where that is not known.
    """

    version: tuple[int, int] = _MODERN
    nodes: tuple[NodeFacts, ...] | None = None
    runtime_class: str | None = None
    gpu_types: Mapping[str, str] = field(default_factory=dict[str, str])
    gpu_resource: str | None = None
    kueue: bool | None = None

    def offers(self, resource: str) -> bool:
        """Whether some node has the resource."""
        return any(resource in node.gpus for node in self.nodes or ())

    @property
    def products(self) -> list[str]:
        """The GPU products there are, sorted."""
        return sorted({node.product for node in self.nodes or () if node.product})

    @property
    def failure_policy(self) -> bool:
        """Whether the server knows podFailurePolicy (on by default since 1.26)."""
        return self.version >= (1, 26)

    @property
    def per_index(self) -> bool:
        """Whether the server knows backoffLimitPerIndex (on by default since 1.29)."""
        return self.version >= (1, 29)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a workload is rendered for: the target's name, the namespace, the facts."""

    target: str
    namespace: str
    facts: Facts = field(default_factory=Facts)
    tolerations: tuple[Mapping[str, Any], ...] = ()


def parse_version(info: Mapping[str, Any]) -> tuple[int, int]:
    """(major, minor) from ``/version``; vendors write minors such as ``28+``."""
    numbers = [re.sub(r"\D.*", "", str(info.get(k, ""))) for k in ("major", "minor")]
    return (int(numbers[0]), int(numbers[1])) if all(numbers) else _MODERN


def node_facts(node: Mapping[str, Any]) -> NodeFacts:
    """What one Node object says about GPUs."""
    status, spec, meta = node.get("status", {}), node.get("spec", {}), node.get("metadata", {})
    allocatable: Mapping[str, str] = status.get("allocatable") or {}
    gpus = {k: whole(v) for k, v in allocatable.items() if k in {GPU, SHARED} or k.startswith(MIG)}
    taints: list[Mapping[str, Any]] = spec.get("taints") or []
    return NodeFacts(
        name=meta.get("name", ""),
        gpus={k: n for k, n in gpus.items() if n > 0},
        labels=meta.get("labels") or {},
        taints=tuple(t for t in taints if not t["key"].startswith(_PASSING)),
        unready=_unready(spec, status),
        cpus=whole(allocatable.get("cpu", "0"), milli=True) / 1000,
        memory=whole(allocatable.get("memory", "0")),
    )


def _unready(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    conditions: Iterable[Mapping[str, Any]] = status.get("conditions") or ()
    ready = next((c for c in conditions if c.get("type") == "Ready"), None)
    if ready is not None and ready.get("status") != "True":
        return f"not ready: {ready.get('message') or ready.get('reason') or 'its kubelet does not answer'}"
    if spec.get("unschedulable"):
        return "cordoned"
    taints: Iterable[Mapping[str, Any]] = spec.get("taints") or ()
    passing = (t["key"] for t in taints if t.get("effect") != "PreferNoSchedule" and t["key"].startswith(_PASSING))
    return next((f"it has the taint {key} for the moment" for key in passing), "")


def matching_products(wanted: str, facts: Facts) -> list[str]:
    """The values of the product label that a GPU type means, time-sliced (``-SHARED``) nodes' included.

    ``[targets.x.gpu_types]`` first; else every product with the type as one of its words, in any case.
    """
    mapped = facts.gpu_types.get(wanted) or next(
        (v for k, v in facts.gpu_types.items() if k.lower() == wanted.lower()), None
    )
    exact = mapped or wanted
    tokens = _words(wanted)
    found = [] if mapped else [p for p in facts.products if _contains(_words(p), tokens)]
    plain = found or [exact]
    return sorted({*plain, *(p if p.endswith("-SHARED") else f"{p}-SHARED" for p in plain)})


def _words(text: str) -> list[str]:
    return [w for w in re.split(r"[^a-z0-9]+", text.lower()) if w]


def _contains(words: list[str], wanted: list[str]) -> bool:
    return any(words[i : i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1)) if wanted else False
