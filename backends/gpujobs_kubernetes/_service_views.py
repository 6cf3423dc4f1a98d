"""Deployments as far as a status needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpujobs_kubernetes import _names
from gpujobs_kubernetes._views import conditions, ending_note, user_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs_kubernetes._views import Condition

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One Deployment."""

    name: str
    namespace: str
    version: int
    created: str
    deleting: bool
    title: str
    labels: dict[str, str]
    hold: str
    ending: tuple[str, str] | None
    wanted: int
    observed: bool
    """Whether its controller has seen the newest definition."""
    copies: int
    updated: int
    ready: int
    failure: Condition | None
    stuck: Condition | None


def service_view(deployment: Mapping[str, Any]) -> ServiceView:
    """A Deployment's view from its object."""
    meta, spec = deployment["metadata"], deployment.get("spec") or _NOTHING
    status = deployment.get("status") or _NOTHING
    notes = meta.get("annotations") or _NOTHING
    return ServiceView(
        name=meta["name"],
        namespace=meta.get("namespace", ""),
        version=int(meta.get("resourceVersion") or 0),
        created=meta.get("creationTimestamp") or "",
        deleting="deletionTimestamp" in meta,
        title=notes.get(_names.NAME, ""),
        labels=user_labels(meta),
        hold=notes.get(_names.HOLD, ""),
        ending=ending_note(notes.get(_names.ENDED)),
        wanted=spec.get("replicas", 1),
        observed=status.get("observedGeneration", 0) >= meta.get("generation", 0),
        copies=status.get("replicas") or 0,
        updated=status.get("updatedReplicas") or 0,
        ready=status.get("readyReplicas") or 0,
        failure=conditions(status).get("ReplicaFailure"),
        stuck=conditions(status, "False").get("Progressing"),
    )
