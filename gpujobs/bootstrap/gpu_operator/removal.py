"""What a GPU Operator leaves behind when helm has taken it away, and how that goes too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from gpujobs.bootstrap.errors import CommandFailedError
from gpujobs.bootstrap.kubernetes.cluster import dig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujobs.bootstrap.kubernetes.cluster import Cluster
    from gpujobs.bootstrap.shell import Argv

_TIMEOUT_S = 900
_ROLE = "nvidia-device-plugin"
_MADE_BY_OPERATOR = "app.kubernetes.io/managed-by=gpu-operator"
_NFD = "app.kubernetes.io/name=node-feature-discovery"


@dataclass(frozen=True)
class Removal:
    """What goes.

    Attributes:
        namespace_made: Whether the namespace came with the release, and goes with it.
        crds: The kinds that came with the chart: helm never takes those away.
        roles_before: Cluster roles and bindings (``KIND/NAME``) that were there before, and stay.
    """

    release: str
    namespace: str
    namespace_made: bool
    crds: tuple[str, ...]
    roles_before: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Removal:
        """What a journal entry says."""
        return cls(
            release=data["release"],
            namespace=data["namespace"],
            namespace_made=data["namespace_made"],
            crds=tuple(data["crds"]),
            roles_before=tuple(data["roles_before"]),
        )

    def commands(self, cluster: Cluster) -> tuple[Argv, ...]:
        """Every command, in order; what is gone already is no error for any but the first."""
        roles = tuple(
            cluster.kubectl("delete", kind, _ROLE, "--ignore-not-found")
            for kind in ("clusterrole", "clusterrolebinding")
            if f"{kind}/{_ROLE}" not in self.roles_before
        )
        labelled = tuple(
            cluster.kubectl("delete", kind, "-l", _MADE_BY_OPERATOR, "--ignore-not-found")
            for kind in ("clusterrole", "clusterrolebinding")
            if not any(name.startswith(f"{kind}/") for name in self.roles_before)
        )
        namespace = (cluster.kubectl("delete", "namespace", self.namespace, "--ignore-not-found"),)
        crds = (cluster.kubectl("delete", "crd", *self.crds, "--ignore-not-found"),)
        return (
            cluster.helm("uninstall", self.release, "-n", self.namespace),
            *(namespace if self.namespace_made else ()),
            *(crds if self.crds else ()),
            *roles,
            *labelled,
        )


def leftovers(cluster: Cluster, namespace: str, chart_crds: str) -> dict[str, Any]:
    """Note, before the release comes, what is there already.

    Args:
        cluster: Where it will be.
        namespace: Of the release.
        chart_crds: What ``helm show crds`` says.
    """
    there = {str(dig(item, "metadata", "name")) for item in cluster.items("crd")}
    roles = [
        f"{kind}/{dig(item, 'metadata', 'name')}"
        for kind in ("clusterrole", "clusterrolebinding")
        for item in (*cluster.items(kind, "-l", _MADE_BY_OPERATOR), cluster.find(kind, _ROLE))
        if item is not None
    ]
    return {
        "namespace_made": cluster.find("namespace", namespace) is None,
        "crds": [name for name in parse_crds(chart_crds) if name not in there],
        "roles_before": sorted(set(roles)),
    }


# e.g. {kind: CustomResourceDefinition, metadata: {name: clusterpolicies.nvidia.com}}
def parse_crds(text: str) -> list[str]:
    """The names in the documents of ``helm show crds``."""
    documents: Sequence[Any] = [document for document in yaml.safe_load_all(text) if document]
    return sorted({str(dig(document, "metadata", "name")) for document in documents})


def remove(cluster: Cluster, removal: Removal) -> list[str]:
    """Take it all away, and return what was kept and why.

    Raises:
        CommandFailedError: Something would not go; another run goes on from there.
    """
    uninstall, *others = removal.commands(cluster)
    completed = cluster.ask(uninstall, timeout_s=_TIMEOUT_S)
    if not completed.ok and "not found" not in completed.error_text:
        raise CommandFailedError(cluster.shell.name, completed)
    kept: list[str] = []
    for argv in others:
        words = list(argv[len(cluster.access.kubectl) :])
        why = _in_use(cluster, removal, words)
        if why:
            kept.append(why)
            words = _without(words, ".nfd.") if words[1] == "crd" else []
        if len(words) > 3 or (words and words[1] != "crd"):  # noqa: PLR2004  # delete crd --ignore-not-found
            cluster.do(cluster.kubectl(*words), timeout_s=_TIMEOUT_S)
    return kept


def _in_use(cluster: Cluster, removal: Removal, words: Sequence[str]) -> str:
    """Why something that came with the release has to stay, or ""."""
    if words[1] == "namespace":
        others = cluster.do(cluster.helm("list", "-a", "-q", "-n", removal.namespace)).text.split()
        return f"the namespace {removal.namespace} stays: {', '.join(others)} is in it" if others else ""
    if words[1] == "crd" and cluster.items("deployments,daemonsets", "-A", "-l", _NFD):
        return "the kinds of node feature discovery stay: another one uses them"
    return ""


def _without(words: Sequence[str], part: str) -> list[str]:
    return [word for word in words if part not in word]
