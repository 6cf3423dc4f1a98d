"""`gpujobs bootstrap monitoring`: manifests on standard output, nothing is applied."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gpujobs.bootstrap.monitoring import monitors


def monitoring(
    *,
    service: Annotated[str, typer.Option("--service", help="The name of the GpuService that has metrics.")] = "vllm",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where it runs.")] = "default",
    operator: Annotated[str, typer.Option("--operator", help="The namespace of the GPU Operator.")] = "gpu-operator",
    release: Annotated[
        str, typer.Option("--release", help="Of the Prometheus operator, which looks for it as a label.")
    ] = "kube-prom-stack",
) -> None:
    """Print ServiceMonitors for a service and for DCGM: pipe them into `kubectl apply -f -`."""
    sys.stdout.write(monitors(service=service, namespace=namespace, operator=operator, release=release))
