"""From a submission to the objects that are sent: the Job or Deployment, and its children."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpujobs.errors import SpecError
from gpujobs_kubernetes import _fields, _job, _service, _volumes
from gpujobs_kubernetes._merge import strategic_merge
from gpujobs_kubernetes._names import ID, labels, object_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpujobs.backend import Submission
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs_kubernetes._facts import Site

Manifest = dict[str, Any]
_FIXED = ("apiVersion", "kind")
_FIXED_META = ("name", "namespace")
_MOST_ANNOTATIONS = 200 * 1024


@dataclass(frozen=True, slots=True)
class Objects:
    """What one submission becomes: the object itself, and the children that it is to own."""

    main: Manifest
    children: tuple[Manifest, ...] = field(default=())


def objects(item: Submission, site: Site, *, inherited: Mapping[str, str], secrets: Mapping[str, str]) -> Objects:
    """The objects of a submission; pure: the same for the same arguments.

    Args:
        item: The workload, its key and hash.
        site: Where it is rendered for.
        inherited: The variables of ``inherit_env`` that are set.
        secrets: The values of the secrets, or what is to be shown instead.

    Raises:
        UnsupportedError: A field that Kubernetes cannot honour; the message names it.
        SpecError: A value that Kubernetes does not take.
    """
    spec = item.spec
    _fields.check(spec, site.target)
    children = tuple(_children(item, site, secrets))
    held = bool(children)
    if spec.kind == "job":
        main = _job.job_manifest(item, spec, site, inherited=inherited, held=held)
    else:
        main = _service.deployment_manifest(item, spec, site, inherited=inherited, held=held)
    if sum(len(v.encode()) for v in main["metadata"]["annotations"].values()) > _MOST_ANNOTATIONS:
        raise SpecError("labels: they are larger than Kubernetes keeps with an object.", next_step="Give fewer.")
    return Objects(_patched(main, spec), children)


def _patched(main: Manifest, spec: GpuJob | GpuService) -> Manifest:
    """The manifest with ``extra["kubernetes"]`` merged in; who it is cannot be changed by that."""
    patch = spec.extra.get("kubernetes")
    if patch is None:
        return main
    if patch.__class__ is not dict:
        raise SpecError("extra.kubernetes is not a table.", next_step="Write it as a part of the manifest: {spec: ...}")
    merged: Manifest = strategic_merge(main, patch)
    mine = [main.get(k) == merged.get(k) for k in _FIXED]
    mine += [main["metadata"].get(k) == merged.get("metadata", {}).get(k) for k in _FIXED_META]
    kept = {**merged["metadata"].get("labels", {}), **main["metadata"]["labels"]} == merged["metadata"].get("labels")
    noted = merged["metadata"].get("annotations", {})
    kept = kept and all(noted.get(k) == v for k, v in main["metadata"]["annotations"].items())
    pods = merged.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})
    if not all(mine) or not kept or pods.get(ID) != main["metadata"]["name"]:
        raise SpecError(
            "extra.kubernetes changes apiVersion, kind, name, namespace or what gpujobs itself wrote on the object.",
            next_step="Leave those out of the patch.",
        )
    return merged


def _children(item: Submission, site: Site, secrets: Mapping[str, str]) -> Iterable[Manifest]:
    spec = item.spec
    name = object_name(item) if spec.kind == "job" else _service.child_name(item)
    meta = {"name": name, "namespace": site.namespace, "labels": labels(item)}
    if _volumes.has_files(spec):
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **_volumes.file_data(spec)}
    if spec.secrets:
        values = {name: secrets[name] for name in sorted(s.name for s in spec.secrets)}
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": dict(meta), "type": "Opaque", "stringData": values}
    if spec.kind == "job" and spec.nodes > 1:
        yield _rendezvous(item, site)
    if spec.kind == "service" and _service.exposed(spec):
        yield _service.service_manifest(item, spec, site)


def _rendezvous(item: Submission, site: Site) -> Manifest:
    """The headless Service that gives every node of a job a name, before it is ready too."""
    body = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {ID: object_name(item)}}
    meta = {"name": object_name(item), "namespace": site.namespace, "labels": labels(item)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": body}
