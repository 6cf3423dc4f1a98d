"""The pod template that jobs and services share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gpujobs.errors import SpecError
from gpujobs_kubernetes import _environment, _gpus, _volumes
from gpujobs_kubernetes._launch import escape, words
from gpujobs_kubernetes._names import labels, object_name
from gpujobs_kubernetes._quantity import bytes_text, cpu_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from gpujobs.backend import Submission
    from gpujobs.parts import Toleration
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs_kubernetes._facts import Site

CONTAINER = "main"
HOSTNAME = "kubernetes.io/hostname"
_OF_CONTAINER = frozenset(
    {"allowPrivilegeEscalation", "capabilities", "privileged", "procMount", "readOnlyRootFilesystem"}
)
_OF_POD = frozenset(
    {"appArmorProfile", "fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "runAsUser", "seLinuxOptions"}
    | {"seccompProfile", "supplementalGroups", "supplementalGroupsPolicy", "sysctls", "windowsOptions"}
)


def seconds(duration: timedelta) -> int:
    """Whole seconds, rounded up: a limit is never shorter than asked."""
    return max(1, math.ceil(duration.total_seconds()))


def template(item: Submission, site: Site, *, child: str, inherited: Mapping[str, str]) -> dict[str, Any]:
    """Labels and spec of the pods; ``child`` names the ConfigMap and the Secret."""
    spec = item.spec
    volumes, mounts = _volumes.mounts(spec, config=child)
    pod: dict[str, Any] = {
        "restartPolicy": "Never" if spec.kind == "job" else "Always",
        "terminationGracePeriodSeconds": seconds(spec.grace),
        # Else every Service of the namespace adds variables, and one called "master" even sets MASTER_PORT.
        "enableServiceLinks": False,
        "containers": [_container(item, site, child=child, mounts=mounts, inherited=inherited)],
    }
    pod.update(_placement(spec, site))
    pod.update(_identity(spec))
    if volumes:
        pod["volumes"] = volumes
    if spec.kind == "job" and spec.time_limit is not None:
        pod["activeDeadlineSeconds"] = seconds(spec.time_limit)
    if spec.kind == "job" and spec.nodes > 1:
        pod["subdomain"] = object_name(item)
    return {"metadata": {"labels": labels(item)}, "spec": pod}


def _container(
    item: Submission, site: Site, *, child: str, mounts: list[dict[str, Any]], inherited: Mapping[str, str]
) -> dict[str, Any]:
    spec = item.spec
    command, args = words(spec)
    found: dict[str, Any] = {"name": CONTAINER, "image": spec.image}
    found["imagePullPolicy"] = spec.image_pull_policy or "IfNotPresent"
    if command:
        found["command"] = [escape(word) for word in command]
    if args:
        found["args"] = [escape(word) for word in args]
    if spec.workdir is not None:
        found["workingDir"] = spec.workdir
    found["env"] = _environment.entries(item, site, secret=child, inherited=inherited)
    resources = _resources(spec, site)
    if resources:
        found["resources"] = resources
    if mounts:
        found["volumeMounts"] = mounts
    security = {k: v for k, v in spec.security_context.items() if k in _OF_CONTAINER}
    if security:
        found["securityContext"] = security
    return found


def _resources(spec: GpuJob | GpuService, site: Site) -> dict[str, Any]:
    amounts: dict[str, str] = {}
    if spec.cpus is not None:
        amounts["cpu"] = cpu_text(spec.cpus)
    if spec.memory is not None:
        amounts["memory"] = bytes_text(spec.memory)
    if spec.disk is not None:
        amounts["ephemeral-storage"] = bytes_text(spec.disk)
    amounts.update(_gpus.limits(spec.gpus, site.facts))
    return {"requests": dict(amounts), "limits": amounts} if amounts else {}


def _placement(spec: GpuJob | GpuService, site: Site) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if spec.node_selector:
        found["nodeSelector"] = dict(sorted(spec.node_selector.items()))
    terms = _gpus.expressions(spec.gpus, site.facts)
    if spec.exclude:
        terms.append({"key": HOSTNAME, "operator": "NotIn", "values": sorted(spec.exclude)})
    if terms:
        required = {"nodeSelectorTerms": [{"matchExpressions": terms}]}
        found["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    tolerated = [*(_toleration(t) for t in spec.tolerations), *(dict(t) for t in site.tolerations)]
    if spec.gpus is not None and _gpus.TOLERATION not in tolerated:
        tolerated.append(dict(_gpus.TOLERATION))
    if tolerated:
        found["tolerations"] = tolerated
    runtime = spec.runtime_class or (site.facts.runtime_class if spec.gpus is not None else None)
    if runtime and runtime != "none":
        found["runtimeClassName"] = runtime
    if isinstance(spec.priority, str):
        found["priorityClassName"] = spec.priority
    return found


def _toleration(toleration: Toleration) -> dict[str, Any]:
    given = toleration.model_dump(exclude_none=True)
    if "seconds" in given:
        given["tolerationSeconds"] = given.pop("seconds")
    if "operator" not in given and "value" not in given:
        given["operator"] = "Exists"
    return given


def _identity(spec: GpuJob | GpuService) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if spec.service_account is not None:
        found["serviceAccountName"] = spec.service_account
    if spec.image_pull_secrets:
        found["imagePullSecrets"] = [{"name": name} for name in spec.image_pull_secrets]
    unknown = set(spec.security_context) - _OF_CONTAINER - _OF_POD
    if unknown:
        raise SpecError(
            f"security_context: {min(unknown)!r} is no field of a Kubernetes security context.",
            next_step=f"Known: {', '.join(sorted(_OF_CONTAINER | _OF_POD))}.",
        )
    security = {k: v for k, v in spec.security_context.items() if k in _OF_POD}
    if security:
        found["securityContext"] = security
    return found
