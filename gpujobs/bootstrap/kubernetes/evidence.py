"""What a doctor looks at in a cluster: read-only, and no more than these credentials allow."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import yaml

from gpujobs.bootstrap.errors import BootstrapError
from gpujobs.bootstrap.gpu_sharing.plugin import PLUGIN, written
from gpujobs.bootstrap.kubernetes.cluster import dig, rows, table
from gpujobs.bootstrap.kubernetes.facts import gather_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.bootstrap.kubernetes.access import Access
    from gpujobs.bootstrap.kubernetes.cluster import Cluster, Json
    from gpujobs.bootstrap.kubernetes.facts import ClusterFacts

MANAGED = "app.kubernetes.io/managed-by=gpujobs"
# What submitting, watching and ending workloads takes, as one would ask `kubectl auth can-i`.
NEEDED = (
    ("create", "jobs.batch"),
    ("create", "deployments.apps"),
    ("create", "services"),
    ("create", "secrets"),
    ("create", "configmaps"),
    ("get", "pods/log"),
    ("create", "pods/exec"),
    ("patch", "jobs.batch"),
    ("delete", "jobs.batch"),
    ("list", "events"),
)


@dataclass(frozen=True)
class PodState:
    """A pod that does not run as it should.

    Attributes:
        reason: ``ImagePullBackOff``, ``CrashLoopBackOff``, ...
        message: What the kubelet says of it.
    """

    namespace: str
    name: str
    image: str
    reason: str
    message: str


@dataclass(frozen=True)
class SharingConfig:
    """A ConfigMap that says how GPUs are shared.

    Attributes:
        data: Its configurations by key, parsed; None where one is not YAML.
        written: When it was last written.
    """

    namespace: str
    name: str
    data: dict[str, Any]
    written: datetime


@dataclass(frozen=True)
class Evidence:
    """All of it.

    Attributes:
        operator: The operator's namespace, or "" where there is none.
        plugins: When each device plugin pod was made, by the node it is on.
        refused: What may not be done in the namespace, as ``VERB RESOURCE``.
        orphans: Objects of gpujobs whose owner is gone, as ``KIND/NAME`` with their namespace.
        unseen: The kinds that these credentials may not see.
    """

    host: str
    access: Access
    facts: ClusterFacts
    operator: str
    namespace: str
    pods: tuple[PodState, ...] = ()
    plugins: dict[str, datetime] = field(default_factory=dict[str, datetime])
    configs: tuple[SharingConfig, ...] = ()
    refused: tuple[str, ...] = ()
    orphans: tuple[tuple[str, str], ...] = ()
    unseen: tuple[str, ...] = ()


def collect(
    host: str, cluster: Cluster, namespace: str, *, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
) -> Evidence:
    """Look at a cluster.

    Raises:
        UnavailableError: It cannot be reached.
    """
    unseen: list[str] = []

    def items(kind: str, *words: str) -> list[Json]:
        try:
            return cluster.items(kind, *words)
        except BootstrapError:
            unseen.append(kind)
            return []

    facts = gather_cluster(cluster, unseen=unseen)
    pods = items("pods", "-A")
    plugins = [pod for pod in pods if _labelled(pod, PLUGIN)]
    first = str(dig(plugins[0], "metadata", "namespace")) if plugins else ""
    operator = facts.release.namespace if facts.release else first
    maps = items("configmaps", "-A", "--show-managed-fields")
    owned = items("jobs,deployments", "-A", "-l", MANAGED)
    children = items("configmaps,secrets,services", "-A", "-l", MANAGED)
    return Evidence(
        host=host,
        access=cluster.access,
        facts=facts,
        operator=operator,
        namespace=namespace,
        pods=tuple(state for pod in pods if (state := pod_state(pod))),
        plugins={str(dig(p, "spec", "nodeName")): _made(p) for p in plugins},
        configs=tuple(config for item in maps if (config := sharing_config(item))),
        refused=refusals(cluster, namespace),
        orphans=tuple(orphans(children, owned, now())),
        unseen=tuple(dict.fromkeys(unseen)),
    )


def refusals(cluster: Cluster, namespace: str) -> tuple[str, ...]:
    """Which of ``NEEDED`` these credentials may not do."""
    words = ("create", "--validate=false", "-f", "-", "-o", 'jsonpath={.status.allowed}{"\\n"}')
    said = cluster.ask(cluster.kubectl(*words), stdin=json.dumps(reviews(namespace)).encode()).text.split()
    # Only a plain no counts: an answer that did not come says nothing about rights.
    return tuple(f"{verb} {what}" for (verb, what), may in zip(NEEDED, said, strict=False) if may == "false")


def reviews(namespace: str) -> Json:
    """What ``kubectl auth can-i`` would ask of each of ``NEEDED``, to be asked in one go."""
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {**kind, "spec": {"resourceAttributes": {"namespace": namespace, "verb": verb, **_resource(what)}}}
            for verb, what in NEEDED
        ],
    }


def _resource(text: str) -> dict[str, str]:
    resource, _, subresource = text.partition("/")
    name, _, group = resource.partition(".")
    return {"group": group, "resource": name, "subresource": subresource}


def pod_state(pod: Json) -> PodState | None:
    """What is wrong with a pod, or None: a pure function of the Pod object."""
    metadata = pod["metadata"]
    for container in (*rows(pod, "status", "initContainerStatuses"), *rows(pod, "status", "containerStatuses")):
        waiting = table(container, "state", "waiting")
        if waiting and waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
            return PodState(
                metadata["namespace"],
                metadata["name"],
                container["image"],
                waiting["reason"],
                waiting.get("message", ""),
            )
    return None


def sharing_config(item: Json) -> SharingConfig | None:
    """A ConfigMap as a device plugin's configuration, or None where it is something else."""
    data = {key: _parsed(text) for key, text in table(item, "data").items()}
    if not any(isinstance(value, dict) and "sharing" in value for value in data.values()):
        return None
    metadata = item["metadata"]
    return SharingConfig(metadata["namespace"], metadata["name"], data, written(item))


def _parsed(text: str) -> Any:
    if "sharing" not in text and "version" not in text:
        return None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _labelled(item: Json, label: str) -> bool:
    name, _, value = label.partition("=")
    return table(item, "metadata", "labels").get(name) == value


def _made(item: Json) -> datetime:
    text = str(dig(item, "metadata", "creationTimestamp"))
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


_HOUR_S = 3600


def orphans(children: Sequence[Json], owners: Sequence[Json], now: datetime) -> list[tuple[str, str]]:
    """Namespace and ``kind/name`` of what gpujobs made for a workload that is no longer there, an hour old at least."""
    alive = {dig(owner, "metadata", "uid") for owner in owners}
    found: list[tuple[str, str]] = []
    for child in children:
        references = rows(child, "metadata", "ownerReferences")
        held = any(reference.get("uid") in alive for reference in references)
        if not held and (now - _made(child)).total_seconds() > _HOUR_S:
            name = f"{str(child['kind']).lower()}/{dig(child, 'metadata', 'name')}"
            found.append((str(dig(child, "metadata", "namespace")), name))
    return found
