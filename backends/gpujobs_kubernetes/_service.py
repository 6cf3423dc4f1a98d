"""A GpuService as an ``apps/v1`` Deployment and a Service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs_kubernetes._launch import escape
from gpujobs_kubernetes._names import HOLD, ID, REPLICAS, labels, metadata, object_name
from gpujobs_kubernetes._pod import seconds, template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from gpujobs.backend import Submission
    from gpujobs.parts import Port, Probe
    from gpujobs.specs import GpuService
    from gpujobs_kubernetes._facts import Site

_TYPES = {"node-port": "NodePort", "cluster-ip": "ClusterIP", "headless": "ClusterIP"}


def child_name(item: Submission) -> str:
    """The name of a service's ConfigMap and Secret: another for each definition, so that a rollout can go back."""
    return f"{object_name(item)}-{item.spec_hash[:8]}"


def deployment_manifest(
    item: Submission, spec: GpuService, site: Site, *, inherited: Mapping[str, str], held: bool
) -> dict[str, Any]:
    """The Deployment; of no copies until its children are there (``held``)."""
    meta = metadata(item, site.namespace)
    if held:
        meta["annotations"].update({HOLD: "children", REPLICAS: str(spec.replicas)})
    pods = template(item, site, child=child_name(item), inherited=inherited)
    container = pods["spec"]["containers"][0]
    if spec.ports:
        container["ports"] = [_container_port(port, spec) for port in spec.ports]
    for field, probe in (("readiness", spec.readiness), ("liveness", spec.liveness), ("startup", spec.startup)):
        if probe is not None:
            container[f"{field}Probe"] = _probe(probe, spec)
    body: dict[str, Any] = {
        "replicas": 0 if held else spec.replicas,
        "selector": {"matchLabels": {ID: object_name(item)}},
        **_strategy(spec),
        "template": pods,
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": body}


def _strategy(spec: GpuService) -> dict[str, Any]:
    """Kubernetes' own default starts the new copy first, and hangs for ever where no GPU is free."""
    if spec.rollout is not None:
        surge, fewer = spec.rollout.max_surge, spec.rollout.max_unavailable
    elif spec.gpus is not None:
        surge, fewer = 0, 1
    else:
        return {}
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": fewer}}}


def exposed(spec: GpuService) -> bool:
    """Whether there is to be a Service."""
    return bool(spec.ports) and spec.expose != "none"


def service_manifest(item: Submission, spec: GpuService, site: Site) -> dict[str, Any]:
    """The Service of the same name."""
    fixed = any(port.node_port for port in spec.ports)
    kind = spec.expose or ("node-port" if fixed else "cluster-ip")
    body: dict[str, Any] = {"type": _TYPES[kind], "selector": {ID: object_name(item)}}
    if kind == "headless":
        body["clusterIP"] = "None"
    body["ports"] = [_service_port(port, spec) for port in spec.ports]
    meta = {"name": object_name(item), "namespace": site.namespace, "labels": labels(item)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": body}


def port_name(port: Port, spec: GpuService) -> str | None:
    """A port's name; made where Kubernetes wants one because there are several."""
    if port.name is not None or len(spec.ports) == 1:
        return port.name
    return f"port-{port.port}" if port.protocol == "TCP" else f"udp-{port.port}"


def _container_port(port: Port, spec: GpuService) -> dict[str, Any]:
    name = port_name(port, spec)
    number: dict[str, Any] = {"containerPort": port.target_port or port.port, "protocol": port.protocol}
    return {"name": name, **number} if name else number


def _service_port(port: Port, spec: GpuService) -> dict[str, Any]:
    found: dict[str, Any] = {"port": port.port, "targetPort": port.target_port or port.port, "protocol": port.protocol}
    name = port_name(port, spec)
    if name:
        found = {"name": name, **found}
    if port.node_port is not None:
        found["nodePort"] = port.node_port
    return found


def _probe(probe: Probe, spec: GpuService) -> dict[str, Any]:
    port = probe.port or (spec.ports[0].target_port or spec.ports[0].port if spec.ports else None)
    found: dict[str, Any] = {}
    if probe.exec:
        found["exec"] = {"command": [escape(word) for word in probe.exec]}
    elif probe.tcp:
        found["tcpSocket"] = {"port": port}
    else:
        found["httpGet"] = {"path": probe.path, "port": port}
    times: tuple[tuple[str, timedelta | None], ...] = (
        ("initialDelaySeconds", probe.delay),
        ("periodSeconds", probe.period),
        ("timeoutSeconds", probe.timeout),
    )
    found.update({field: seconds(time) for field, time in times if time is not None})
    if probe.failures is not None:
        found["failureThreshold"] = probe.failures
    return found
