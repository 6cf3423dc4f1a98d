"""Where a service can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs_kubernetes._api import Table
    from gpujobs_kubernetes._views import PodView


def endpoints_of(service: Table | None, pods: Sequence[PodView]) -> list[str]:
    """``HOST:PORT``, sorted: nodes with a copy first for NodePorts, the Service's address, or each copy's own."""
    if service is None:
        return []
    spec: Table = service["spec"]
    ports: list[dict[str, Any]] = spec.get("ports") or []
    if spec.get("type") == "NodePort":
        nodes = sorted({p.host_address for p in pods if p.ready and p.host_address})
        return [_join(node, p["nodePort"]) for p in ports if p.get("nodePort") for node in nodes]
    if spec.get("clusterIP") == "None":
        ready = sorted(p.address for p in pods if p.ready and p.address)
        return [_join(address, p.get("targetPort") or p["port"]) for p in ports for address in ready]
    return [_join(spec["clusterIP"], p["port"]) for p in ports if spec.get("clusterIP")]


def _join(host: str, port: int | str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
