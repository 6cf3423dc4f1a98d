"""The device plugin's configuration: pure functions of the wish.

https://github.com/NVIDIA/k8s-device-plugin#shared-access-to-gpus
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from gpujobs.bootstrap.kubernetes.cluster import dig
from gpujobs.bootstrap.kubernetes.facts import GPU, SHARED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.gpu_sharing.wish import Sharing, SharingWish

DEFAULT_KEY = "any"
CONFIG_LABEL = "nvidia.com/device-plugin.config"
MIG_LABEL = "nvidia.com/mig.config"
_SECTIONS = {"time-slice": "timeSlicing", "mps": "mps"}


def config_text(sharing: Sharing) -> str:
    """One configuration of the device plugin."""
    document: dict[str, Any] = {"version": "v1"}
    if sharing.mode != "none":
        section: dict[str, Any] = {}
        if sharing.rename:
            section["renameByDefault"] = True
        if sharing.refuse_several and sharing.mode == "time-slice":  # MPS does so always, and knows no such key
            section["failRequestsGreaterThanOne"] = True
        section["resources"] = [{"name": GPU, "replicas": sharing.replicas}]
        document["sharing"] = {_SECTIONS[sharing.mode]: section}
    return yaml.safe_dump(document, sort_keys=False)


def key_of(sharing: Sharing) -> str:
    """What a node's own configuration is called, in the ConfigMap and in the node's label."""
    words = [sharing.mode] + ([str(sharing.replicas)] if sharing.mode != "none" else [])
    words += ["renamed"] if sharing.rename else []
    words += ["one-each"] if sharing.refuse_several else []
    return "-".join(words)


def config_map(wish: SharingWish, namespace: str) -> dict[str, Any]:
    """The ConfigMap with all configurations, in the operator's namespace: it is looked for nowhere else."""
    data = {DEFAULT_KEY: config_text(wish.default)} if wish.default else {}
    data |= {key_of(sharing): config_text(sharing) for sharing in wish.nodes.values()}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": wish.config_map, "namespace": namespace},
        "data": data,
    }


def policy_config(wish: SharingWish) -> dict[str, str]:
    """What the ClusterPolicy says of it; without a default it is applied to no node but those with a label."""
    return {"name": wish.config_map, "default": DEFAULT_KEY if wish.default else ""}


def settings(wish: SharingWish) -> dict[str, dict[str, Any]]:
    """What the operator is told: the same keys in its helm values and in its ClusterPolicy."""
    told: dict[str, dict[str, Any]] = {}
    if wish.shares:
        told["devicePlugin"] = {"config": policy_config(wish)}
    if wish.mig_strategy:
        told["mig"] = {"strategy": wish.mig_strategy}
    return told


def expected(sharing: Sharing, physical: int) -> tuple[str, int]:
    """The resource and how many of it a node with so many GPUs is to hand out."""
    return (SHARED if sharing.rename else GPU), physical * sharing.replicas


def spoken(policy: Mapping[str, Any] | None, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a policy says under the keys of these settings, None where it says nothing."""
    return {section: {key: dig(policy, "spec", section, key) for key in values} for section, values in settings.items()}


def noted(now: Mapping[str, Mapping[str, Any]], first: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What was noted first under each key, and what is there now under the keys of a later wish."""
    return {section: {**now.get(section, {}), **first.get(section, {})} for section in {**now, **first}}
