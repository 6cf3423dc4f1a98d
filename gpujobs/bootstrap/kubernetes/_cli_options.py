"""Options of the bootstraps that act on a Kubernetes cluster."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from gpujobs.bootstrap._cli_options import given, on_machine
from gpujobs.cli._options import several

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs.bootstrap.shell import Shell

_which = several(
    [
        click.option(
            "--distribution",
            metavar="NAME",
            help="microk8s or kubernetes (default: microk8s where it is installed)",
        ),
        click.option("--kubeconfig", metavar="FILE", help="A kubeconfig there (default: kubectl's own choice)"),
        click.option("--context", metavar="NAME", help="A context of it (default: the current one)"),
    ]
)
chart = click.option("--chart", metavar="PATH", help="The chart as a file there, for machines offline.")
image = click.option(
    "--image", metavar="IMAGE", help="The image of the pods that are sent (default: one of NVIDIA's with CUDA)"
)
pod_timeout = click.option(
    "--pod-timeout",
    type=int,
    metavar="SECONDS",
    default=300,
    show_default=True,
    help="How long such a pod may take, its image included.",
)


def in_cluster(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which machine and which cluster; the function gets ``host``, ``shell``, ``which``."""

    @on_machine
    @_which
    @functools.wraps(function)
    def choose(
        host: str,
        connect: Callable[[str], Shell],
        *,
        distribution: str | None,
        kubeconfig: str | None,
        context: str | None,
        **options: Any,
    ) -> Any:
        which = given(distribution=distribution, kubeconfig=kubeconfig, context=context)
        return function(host, connect(host), which, **options)

    return choose
