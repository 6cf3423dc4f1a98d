"""`gpujobs bootstrap monitoring`: manifests on standard output, nothing is applied."""

from __future__ import annotations

import click

from gpujobs.bootstrap._cli_options import command
from gpujobs.bootstrap.monitoring import monitors


@command("gpujobs bootstrap monitoring --service vllm | kubectl apply -f -")
@click.option(
    "--service", metavar="NAME", default="vllm", show_default=True, help="The name of the GpuService that has metrics."
)
@click.option("-n", "--namespace", metavar="NAME", default="default", show_default=True, help="Where it runs.")
@click.option(
    "--operator",
    metavar="NAME",
    default="gpu-operator",
    show_default=True,
    help="The namespace of the GPU Operator.",
)
@click.option(
    "--release",
    metavar="NAME",
    default="kube-prom-stack",
    show_default=True,
    help="Of the Prometheus operator, which looks for it as a label.",
)
def monitoring(*, service: str, namespace: str, operator: str, release: str) -> None:
    """Print ServiceMonitors for a service and for DCGM: pipe them into `kubectl apply -f -`."""
    click.echo(monitors(service=service, namespace=namespace, operator=operator, release=release), nl=False)
