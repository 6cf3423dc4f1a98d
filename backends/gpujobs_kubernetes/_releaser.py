"""The releaser's Deployment: one small pod without GPUs, and what it is allowed to do in its container: little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs.errors import SpecError
from gpujobs_kubernetes._merge import strategic_merge
from gpujobs_kubernetes._pod import CONTAINER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujobs_kubernetes._options import Releaser

NAME = "gpujobs-releaser"
LABEL = "app.kubernetes.io/name"
# Not "managed-by: gpujobs", which marks workloads: the releaser is none, and no list of workloads has it.
LABELS = {LABEL: NAME, "app.kubernetes.io/part-of": "gpujobs"}
RENEWED = "gpujobs/renewed"
"""Annotation: written anew by whoever submits a job that waits, so that the releaser does not end just then."""
COMMAND = ("python3", "-m", "gpujobs_kubernetes.releaser")
_NOBODY = 65534
_MEMORY = "256Mi"


def deployment(
    releaser: Releaser, namespace: str, tolerations: Sequence[Mapping[str, Any]], *, renewed: str
) -> dict[str, Any]:
    """The Deployment; it suits the ``restricted`` level of Kubernetes' Pod Security Standards.

    A Deployment and not a Job: whatever befalls its pod, there is one again until the releaser removes it.

    Raises:
        SpecError: ``extra`` changes its name or its labels.
    """
    meta = {"name": NAME, "namespace": namespace, "labels": dict(LABELS), "annotations": {RENEWED: renewed}}
    selected = {LABEL: NAME}
    body = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": selected},
        "template": {"metadata": {"labels": dict(LABELS)}, "spec": _pod(releaser, tolerations)},
    }
    made: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": body}
    merged = strategic_merge(made, releaser.extra)
    pods = merged.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})
    if merged.get("metadata", {}).get("name") != NAME or pods.get(LABEL) != NAME:
        raise SpecError(
            "releaser.extra changes the releaser's name or its label.", next_step="Leave those out of the patch."
        )
    return merged


def _pod(releaser: Releaser, tolerations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    container = {
        "name": CONTAINER,
        "image": releaser.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(COMMAND),
        "env": [
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
            {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"},
        ],
        "resources": {
            "requests": {"cpu": "10m", "memory": _MEMORY},
            "limits": {"cpu": "500m", "memory": _MEMORY},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    found: dict[str, Any] = {
        "serviceAccountName": releaser.service_account,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _NOBODY,
            "runAsGroup": _NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    if tolerations:
        found["tolerations"] = [dict(t) for t in tolerations]
    return found
