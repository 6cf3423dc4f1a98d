"""ServiceMonitors, for a Prometheus operator to find the metrics of vLLM and of the GPUs: rendered, and not applied."""

from __future__ import annotations

from typing import Any

import yaml

_INTERVAL = "15s"


def service_monitor(
    name: str, *, namespace: str, labels: dict[str, str], port: str, release: str, interval: str = _INTERVAL
) -> dict[str, Any]:
    """A ServiceMonitor for the Services with these labels.

    Args:
        name: What it is called.
        namespace: Where it and the Services are.
        labels: What the Services have.
        port: The name of the port that has ``/metrics``.
        release: Of the Prometheus operator: it looks for monitors with this label only.
        interval: How often it asks.
    """
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": name, "namespace": namespace, "labels": {"release": release}},
        "spec": {
            "selector": {"matchLabels": labels},
            "namespaceSelector": {"matchNames": [namespace]},
            "endpoints": [{"port": port, "path": "/metrics", "interval": interval}],
        },
    }


def monitors(*, service: str, namespace: str, operator: str, release: str) -> str:
    """The ServiceMonitors of a vLLM service and of DCGM's exporter, as YAML for ``kubectl apply -f -``.

    Args:
        service: The name of the GpuService.
        namespace: Where it runs.
        operator: The namespace of the GPU Operator.
        release: Of the Prometheus operator.
    """
    vllm = service_monitor(
        f"{service}-metrics",
        namespace=namespace,
        labels={"app.kubernetes.io/managed-by": "gpujobs", "app.kubernetes.io/name": service},
        port="http",
        release=release,
    )
    dcgm = service_monitor(
        "dcgm-exporter",
        namespace=operator,
        labels={"app": "nvidia-dcgm-exporter"},
        port="gpu-metrics",
        release=release,
    )
    return yaml.safe_dump_all([vllm, dcgm], sort_keys=False)
