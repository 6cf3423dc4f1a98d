"""Manifests that people already have, as workloads: Job, Pod, Deployment with its Service and ConfigMaps."""

from __future__ import annotations

from typing import Any, cast

import yaml
from pydantic import ValidationError

from gpujobs.errors import SpecError
from gpujobs.formats import spec_error
from gpujobs.specs import GpuJob, GpuService
from gpujobs_kubernetes._import_pod import Reader
from gpujobs_kubernetes._tables import inside

Table = dict[str, Any]
_MAIN = ("Job", "Deployment", "Pod")
_BESIDE = ("Service", "ConfigMap")
_TYPES = {"NodePort": "node-port", "ClusterIP": "cluster-ip"}
_DEFAULT_BACKOFF = 6
_IN_JOB = frozenset(
    {"template", "backoffLimit", "backoffLimitPerIndex", "completions", "parallelism", "completionMode"}
    | {"activeDeadlineSeconds"}
)
_IN_DEPLOYMENT = frozenset({"template", "replicas", "selector", "strategy"})


def read(text: str, *, path: str) -> tuple[GpuJob | GpuService, tuple[str, ...]]:
    """The workload of a manifest, and what of it could not be expressed, one line each.

    Raises:
        SpecError: The text is no manifest, or holds no or several workloads.
    """
    documents = _documents(text, path)
    mains = [d for d in documents if d.get("kind") in _MAIN]
    if len(mains) != 1:
        kinds = ", ".join(sorted({str(d.get("kind")) for d in documents})) or "nothing"
        raise SpecError(
            f"{path} holds {len(mains)} workloads ({kinds}).",
            next_step="Give a file with one Job, Deployment or Pod, and what belongs to it.",
        )
    main = mains[0]
    maps = {d["metadata"]["name"]: d for d in documents if d.get("kind") == "ConfigMap"}
    reader = Reader(maps)
    for other in documents:
        if other is not main and other.get("kind") not in _BESIDE:
            reader.lost.append(f"{other.get('kind')} {other['metadata'].get('name')}")
    meta: Table = main.get("metadata") or {}
    if meta.get("namespace"):
        reader.lost.append(f"namespace {meta['namespace']}: the target's is used")
    try:
        workload = _workload(main, meta, reader, [d for d in documents if d.get("kind") == "Service"])
    except ValidationError as e:
        raise spec_error(path, e) from e
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as e:
        if isinstance(e, SpecError):
            raise
        raise SpecError(
            f"{path} is no valid {main['kind']}: {e!r}.", next_step="kubectl apply --dry-run shows why."
        ) from e
    return workload, tuple(reader.lost)


def _documents(text: str, path: str) -> list[Table]:
    try:
        found: list[Any] = [d for d in yaml.safe_load_all(text) if d is not None]
    except yaml.YAMLError as e:
        raise SpecError(f"{path} is not valid YAML: {e}.", next_step="Mend the line it names.") from e
    flat: list[Any] = []
    for document in found:
        several = document.__class__ is dict and document.get("kind") == "List"
        flat += document.get("items") or [] if several else [document]
    for document in flat:
        if document.__class__ is not dict or "kind" not in document or document.get("metadata").__class__ is not dict:
            raise SpecError(f"{path} is no Kubernetes manifest: it has no kind or no metadata.")
    return cast("list[Table]", flat)


def _workload(main: Table, meta: Table, reader: Reader, services: list[Table]) -> GpuJob | GpuService:
    if main["kind"] == "Deployment":
        return _service(main, meta, reader, services)
    reader.lost += [f"Service {s['metadata'].get('name')}: a job has none" for s in services]
    if main["kind"] == "Pod":
        fields = reader.pod(main.get("spec") or {})
        policy = inside(main, "spec").get("restartPolicy", "Always")
        if policy != "Never":
            reader.lost.append(f"restartPolicy {policy}: a job is not started again; set retries")
        _carry(fields, {}, reader)
        return GpuJob.model_validate(_named(fields, meta))
    return _job(main, meta, reader)


def _named(fields: Table, meta: Table) -> Table:
    labels = {k: str(v) for k, v in inside(meta, "labels").items()}
    return {**({"name": meta["name"]} if meta.get("name") else {}), **({"labels": labels} if labels else {}), **fields}


def _job(main: Table, meta: Table, reader: Reader) -> GpuJob:
    spec: Table = main["spec"]
    pods: Table = spec["template"].get("spec") or {}
    fields = reader.pod(pods)
    if pods.get("restartPolicy") == "OnFailure":
        reader.lost.append("restartPolicy OnFailure: a new pod is started instead")
    fields["retries"] = spec.get("backoffLimitPerIndex", spec.get("backoffLimit", _DEFAULT_BACKOFF))
    completions = spec.get("completions", 1)
    if completions > 1:
        fields["array"] = completions
        fields["parallelism"] = min(spec.get("parallelism", 1), completions)
    elif spec.get("parallelism", 1) > 1:
        reader.lost.append(f"parallelism {spec['parallelism']} without completions: a work queue")
    if "activeDeadlineSeconds" in spec:
        fields["deadline"] = spec["activeDeadlineSeconds"]
    if "activeDeadlineSeconds" in pods:
        fields["time_limit"] = pods["activeDeadlineSeconds"]
    _carry(fields, {k: v for k, v in spec.items() if k not in _IN_JOB}, reader)
    return GpuJob.model_validate(_named(fields, meta))


def _service(main: Table, meta: Table, reader: Reader, services: list[Table]) -> GpuService:
    spec: Table = main["spec"]
    template: Table = spec["template"]
    fields = reader.pod(template.get("spec") or {})
    fields["replicas"] = spec.get("replicas", 1)
    fields.update(reader.probes())
    labels = inside(template, "metadata", "labels")
    mine = [s for s in services if _selects(s, labels)]
    reader.lost += [f"Service {s['metadata'].get('name')}: it selects other pods" for s in services if s not in mine]
    reader.lost += [f"Service {s['metadata'].get('name')}: only one can be had" for s in mine[1:]]
    fields.update(_ports(mine[0] if mine else None, meta, reader))
    strategy: Table = spec.get("strategy") or {}
    rolling: Table = strategy.get("rollingUpdate") or {}
    if rolling and all(v.__class__ is int for v in rolling.values()):
        fields["rollout"] = {
            "max_surge": rolling.get("maxSurge", 1),
            "max_unavailable": rolling.get("maxUnavailable", 0),
        }
    elif strategy.get("type") == "Recreate" or rolling:
        reader.lost.append(f"strategy {rolling or 'Recreate'}: set rollout")
    _carry(fields, {k: v for k, v in spec.items() if k not in _IN_DEPLOYMENT}, reader)
    return GpuService.model_validate(_named(fields, meta))


def _selects(service: Table, labels: Table) -> bool:
    selector: Table = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(k) == v for k, v in selector.items())


def _ports(service: Table | None, meta: Table, reader: Reader) -> Table:
    own = [{"port": p["containerPort"], **_port_names(p)} for p in reader.ports]
    if service is None:
        return {"ports": own, "expose": "none"} if own else {}
    spec: Table = service["spec"]
    name = service["metadata"].get("name")
    if name != meta.get("name"):
        reader.lost.append(f"Service name {name}: it will be {meta.get('name')}")
    kind = spec.get("type", "ClusterIP")
    if kind not in _TYPES:
        reader.lost.append(f"Service type {kind}: a NodePort is used")
    ports: list[Table] = []
    for port in spec.get("ports") or ():
        found: Table = {"port": port["port"], **_port_names(port)}
        target = reader.port_number(port.get("targetPort", port["port"]))
        if target != port["port"]:
            found["target_port"] = target
        if port.get("nodePort"):
            found["node_port"] = port["nodePort"]
        ports.append(found)
    expose = "headless" if spec.get("clusterIP") == "None" else _TYPES.get(kind, "node-port")
    return {"ports": ports, "expose": expose}


def _port_names(port: Table) -> Table:
    found: Table = {"name": port["name"]} if port.get("name") else {}
    if port.get("protocol", "TCP") != "TCP":
        found["protocol"] = port["protocol"]
    return found


def _carry(fields: Table, rest: Table, reader: Reader) -> None:
    """What has no field of its own goes on as a patch."""
    spec: Table = dict(rest)
    if reader.rest:
        spec["template"] = {"spec": reader.rest}
    if spec:
        fields["extra"] = {"kubernetes": {"spec": spec}}
