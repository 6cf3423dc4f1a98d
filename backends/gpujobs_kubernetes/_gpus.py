"""GPUs: which resource is asked for, and on which nodes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gpujobs.errors import UnsupportedError
from gpujobs_kubernetes._facts import GPU, MEMORY, MIG, PRODUCT, SHARED, STRATEGY, matching_products

if TYPE_CHECKING:
    from gpujobs.gpu import Gpu
    from gpujobs_kubernetes._facts import Facts

TOLERATION = {"key": GPU, "operator": "Exists"}
_MIB = 2**20


def resource_of(gpu: Gpu, facts: Facts) -> str:
    """The name of the resource that a request is written as.

    Raises:
        UnsupportedError: Kubernetes has no such way of sharing.
    """
    mode = gpu.mode
    if mode in {"mps", "shard"}:
        raise UnsupportedError(
            f"gpus: sharing {mode!r} counts parts of a GPU as Slurm does; Kubernetes hands out whole units.",
            next_step="Use sharing='time-slice', or a MIG profile such as '1g.10gb'.",
        )
    if gpu.profile is not None:
        mig = mig_resource(gpu.profile)
        # The "single" strategy offers the instances as plain GPUs, told apart by their product.
        return GPU if not facts.offers(mig) and _single_mig(gpu.profile, facts) else mig
    if facts.gpu_resource is not None:
        return facts.gpu_resource
    if mode == "time-slice":
        return SHARED if facts.offers(SHARED) else GPU
    if mode is None and facts.offers(SHARED) and not facts.offers(GPU):
        return SHARED
    return GPU


def mig_resource(profile: str) -> str:
    """``nvidia.com/mig-1g.10gb.me`` of ``1g.10gb+me``: a resource name holds no ``+``."""
    return MIG + profile.replace("+", ".").replace("-me", ".me")


def _single_mig(profile: str, facts: Facts) -> list[str]:
    return [p for p in facts.products if p.upper().endswith(f"-MIG-{profile}".upper())]


def limits(gpu: Gpu | None, facts: Facts) -> dict[str, str]:
    """What a container's limits say about GPUs."""
    return {} if gpu is None else {resource_of(gpu, facts): str(gpu.count)}


def expressions(gpu: Gpu | None, facts: Facts) -> list[dict[str, Any]]:
    """The node affinity terms that a request for GPUs means; all must hold."""
    if gpu is None:
        return []
    terms: list[dict[str, Any]] = []
    if gpu.type is not None:
        terms.append({"key": PRODUCT, "operator": "In", "values": matching_products(gpu.type, facts)})
    elif gpu.profile is not None and resource_of(gpu, facts) == GPU:
        terms.append({"key": PRODUCT, "operator": "In", "values": _single_mig(gpu.profile, facts)})
    if gpu.memory is not None:
        floor = math.ceil(gpu.memory / _MIB) - 1
        terms.append({"key": MEMORY, "operator": "Gt", "values": [str(floor)]})
    if gpu.mode == "exclusive":
        # NotIn also takes nodes without the label.
        terms.append({"key": STRATEGY, "operator": "NotIn", "values": ["mps", "time-slicing"]})
    elif gpu.mode == "time-slice" and resource_of(gpu, facts) == GPU:
        terms.append({"key": STRATEGY, "operator": "In", "values": ["time-slicing"]})
    return terms
