"""Proving that a target works, one finding after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.errors import GpuJobsError, NotFoundError
from gpujobs.reasons import Reason
from gpujobs.results import Check
from gpujobs_kubernetes._api import DEPLOYMENTS, PODS, path
from gpujobs_kubernetes._names import Place, ref_to
from gpujobs_kubernetes._rbac import CLUSTER_ROLE, ROLE
from gpujobs_kubernetes._releaser import LABEL
from gpujobs_kubernetes._releaser import NAME as RELEASER
from gpujobs_kubernetes._service_states import service_status
from gpujobs_kubernetes._service_views import service_view
from gpujobs_kubernetes._views import pod_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.backend import Target
    from gpujobs_kubernetes._api import Api
    from gpujobs_kubernetes._probe import Prober

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_OLDEST = (1, 29)
_RELEASER_NEXT = f"`kubectl describe deployment {RELEASER}` says more; see `releaser` in docs/kubernetes.md."


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


def releaser_check(api: Api, target: str, *, now: float) -> Check:
    """Whether the releaser runs, where there is one at the moment."""
    try:
        found = api.get(path(DEPLOYMENTS, api.namespace, RELEASER))
    except NotFoundError:
        return Check("releaser", ok=True, message="none runs, for nothing waits")
    pods = [pod_view(pod) for pod in api.list(path(PODS, api.namespace), {"labelSelector": f"{LABEL}={RELEASER}"})]
    ref = ref_to("kubernetes", target, Place(api.namespace, "service", RELEASER))
    why = service_status(ref, service_view(found), pods, now=now).reason
    if why is None:
        return Check("releaser", ok=True, message=f"runs on {', '.join(sorted({p.node for p in pods}))}")
    starts = why.code in {Reason.STARTING, Reason.QUEUED}
    return Check("releaser", ok=starts, message=why.message, next="" if starts else why.next or _RELEASER_NEXT)


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
    for rule in ROLE:
        for resource in rule.resources:
            name, _, sub = resource.partition("/")
            for verb in rule.verbs:
                wanted = {
                    "namespace": api.namespace,
                    "group": rule.group,
                    "resource": name,
                    "subresource": sub,
                    "verb": verb,
                }
                reply = api.post(_REVIEW, {"spec": {"resourceAttributes": wanted}})
                if not reply.get("status", {}).get("allowed"):
                    found.append(f"{verb} {resource}")
    return found


def _wide() -> str:
    return "; ".join(f"{'/'.join(rule.verbs)} {', '.join(rule.resources)}" for rule in CLUSTER_ROLE)
