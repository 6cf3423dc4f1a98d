"""GPU sharing that was asked for and does not happen: a pure function of the evidence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from gpujobs.bootstrap.doctor import Trouble
from gpujobs.bootstrap.gpu_sharing.config import CONFIG_LABEL
from gpujobs.bootstrap.gpu_sharing.plugin import PLUGIN
from gpujobs.bootstrap.kubernetes.cluster import rows, table
from gpujobs.bootstrap.kubernetes.facts import POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.bootstrap.kubernetes.cluster import Json
    from gpujobs.bootstrap.kubernetes.evidence import Evidence, SharingConfig
    from gpujobs.bootstrap.shell import Argv


def sharing_troubles(evidence: Evidence) -> Iterator[Trouble]:
    """Everything between a ConfigMap and shared GPUs that is amiss."""
    policy = evidence.facts.policy
    if policy is None:
        return
    home = [config for config in evidence.configs if config.namespace == evidence.operator]
    named = next((config for config in home if config.name == policy.config_name), None)
    if not policy.config_name:
        yield from (_unnamed(evidence, policy.name, config) for config in home)
        yield from (_elsewhere(evidence, config) for config in evidence.configs if config not in home)
        return
    if named is None:
        yield _missing(evidence, policy.config_name)
        return
    yield from _keys(evidence, named)
    yield from _contents(evidence, named)
    stale = sorted(node for node, made in evidence.plugins.items() if made < named.written)
    if stale:
        yield _stale(evidence, named, stale)


def _told(evidence: Evidence, policy: str, name: str, key: str) -> Argv:
    patch = json.dumps({"spec": {"devicePlugin": {"config": {"name": name, "default": key}}}})
    return (*evidence.access.kubectl, "patch", POLICY, policy, "--type=merge", "-p", patch)


def _unnamed(evidence: Evidence, policy: str, config: SharingConfig) -> Trouble:
    return Trouble(
        evidence.host,
        f"the sharing configuration {config.namespace}/{config.name} is applied to no node",
        f"The ClusterPolicy {policy} does not name it in devicePlugin.config.",
        (_told(evidence, policy, config.name, next(iter(config.data))),),
        advice="The next `helm upgrade` forgets this patch; `gpujobs bootstrap gpu-sharing apply` tells helm as well.",
    )


def _elsewhere(evidence: Evidence, config: SharingConfig) -> Trouble:
    return Trouble(
        evidence.host,
        f"the sharing configuration {config.namespace}/{config.name} is applied to no node",
        f"The operator looks for it in {evidence.operator} only.",
        advice="Run `gpujobs bootstrap gpu-sharing apply`, which writes it where it belongs.",
    )


def _missing(evidence: Evidence, name: str) -> Trouble:
    return Trouble(
        evidence.host,
        f"the ClusterPolicy names the sharing configuration {name}, and {evidence.operator} has no such ConfigMap",
        "The device plugins cannot start without it, and the nodes hand out no GPU.",
        advice="Run `gpujobs bootstrap gpu-sharing apply`, or take the name out of the ClusterPolicy.",
    )


def _keys(evidence: Evidence, config: SharingConfig) -> Iterator[Trouble]:
    policy = evidence.facts.policy
    default = policy.config_default if policy else ""
    labelled = {node.name: node.labels[CONFIG_LABEL] for node in evidence.facts.nodes if CONFIG_LABEL in node.labels}
    if default and default not in config.data:
        yield Trouble(
            evidence.host,
            f"the default sharing configuration {default!r} is not in {config.namespace}/{config.name}",
            f"It has {', '.join(config.data)}. Nodes without a label cannot start their device plugin.",
            (_told(evidence, policy.name if policy else "", config.name, next(iter(config.data))),),
        )
    if not default and not labelled:
        yield Trouble(
            evidence.host,
            f"the sharing configuration {config.namespace}/{config.name} is applied to no node",
            f"The ClusterPolicy has no default, and no node has the label {CONFIG_LABEL}.",
            (_told(evidence, policy.name if policy else "", config.name, next(iter(config.data))),),
        )
    for node, key in labelled.items():
        if key not in config.data:
            yield Trouble(
                evidence.host,
                f"the node {node} wants the sharing configuration {key!r}, which is not there",
                f"{config.namespace}/{config.name} has {', '.join(config.data)}.",
                ((*evidence.access.kubectl, "label", "node", node, f"{CONFIG_LABEL}-"),),
                advice="Take the label off, so that the node gets the default, or correct it.",
            )


def _contents(evidence: Evidence, config: SharingConfig) -> Iterator[Trouble]:
    for key, document in config.data.items():
        why = flaw(document)
        if why:
            yield Trouble(
                evidence.host,
                f"the configuration {key!r} in {config.namespace}/{config.name} does not share GPUs",
                why,
                advice="Run `gpujobs bootstrap gpu-sharing apply`, which writes it anew.",
            )


def flaw(document: Any) -> str:
    """What the device plugin will not like in a configuration, or ""."""
    if not isinstance(document, dict):
        return "It is not YAML."
    sharing = table(cast("Json", document), "sharing")
    for section in ("timeSlicing", "mps"):
        if section in sharing and not rows(sharing, section, "resources"):
            return f"sharing.{section} has no resources, which the device plugin ends with an error for."
    return ""


def _stale(evidence: Evidence, config: SharingConfig, nodes: list[str]) -> Trouble:
    return Trouble(
        evidence.host,
        f"the device plugins on {', '.join(nodes)} have not read the sharing configuration as it is now",
        f"{config.namespace}/{config.name} was written after they started, and they read it only then.",
        ((*evidence.access.kubectl, "delete", "pods", "-n", evidence.operator, "-l", PLUGIN),),
        safe=True,
    )
