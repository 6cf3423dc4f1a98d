"""Proving that a target works, one finding after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.errors import GpuJobsError
from gpujobs.results import Check
from gpujobs_kubernetes._rbac import CLUSTER_ROLE, ROLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.backend import Target
    from gpujobs_kubernetes._api import Api
    from gpujobs_kubernetes._probe import Prober

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_OLDEST = (1, 29)


def checks(api: Api, prober: Prober, target: Target) -> list[Check]:
    """What was looked at; the first that makes the rest senseless ends it."""
    try:
        version = api.get("/version").get("gitVersion", "")
        facts = prober.facts(gpus=True)
        missing = _missing(api)
    except GpuJobsError as e:
        return [Check("API server", ok=False, message=e.message, next=e.next_step)]
    found = [
        Check(
            "API server", ok=True, message=f"Kubernetes {version} by {api.connection.who}, namespace {api.namespace}"
        ),
        Check(
            "server version",
            ok=facts.version >= _OLDEST,
            message=f"{facts.version[0]}.{facts.version[1]}",
            next="" if facts.version >= _OLDEST else "From 1.29 on attempts are counted and array elements retried.",
        ),
        Check(
            "rights in the namespace",
            ok=not missing,
            message="all there" if not missing else f"missing: {', '.join(missing)}",
            next="" if not missing else f"`gpujobs targets rbac {target.name}` prints a Role with all of them.",
        ),
    ]
    if facts.nodes is None:
        hidden = "nodes may not be listed: no capacity, no preflight, no GPU types by name"
        wide = f"Optional: {_wide()}; `gpujobs targets rbac {target.name} --cluster` prints it."
        return [*found, Check("GPUs", ok=True, message=hidden, next=wide)]
    offered = [f"{n.name}: {total} {r} {n.product}".strip() for n in facts.nodes for r, total in n.gpus.items()]
    none = "A GPU node needs NVIDIA's device plugin: see `gpujobs bootstrap`."
    found.append(Check("GPUs", ok=bool(offered), message="; ".join(offered) or "none", next="" if offered else none))
    runtime = facts.runtime_class or "none (the nodes' default runtime is used)"
    return [*found, Check("RuntimeClass for GPUs", ok=True, message=runtime), *_image(target)]


def _image(target: Target) -> Iterator[Check]:
    image = target.defaults.get("image")
    yield Check(
        "default image",
        ok=True,
        message=str(image) if image else "none: every workload must name one",
        next="" if image else f"Set it: [targets.{target.name}.defaults] image = '...'.",
    )


def _missing(api: Api) -> list[str]:
    """The rights of the Role that we do not have, as the API server itself says."""
    found: list[str] = []
    for group, resources, verbs in ROLE:
        for resource in resources:
            name, _, sub = resource.partition("/")
            for verb in verbs:
                wanted = {
                    "namespace": api.namespace,
                    "group": group,
                    "resource": name,
                    "subresource": sub,
                    "verb": verb,
                }
                reply = api.post(_REVIEW, {"spec": {"resourceAttributes": wanted}})
                if not reply.get("status", {}).get("allowed"):
                    found.append(f"{verb} {resource}")
    return found


def _wide() -> str:
    return "; ".join(f"{'/'.join(verbs)} {', '.join(resources)}" for _, resources, verbs in CLUSTER_ROLE)
