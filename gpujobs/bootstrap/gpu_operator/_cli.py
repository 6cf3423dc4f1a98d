"""`gpujobs bootstrap gpu-operator`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpujobs.bootstrap._cli_options import LOCAL, Host, Json, SshOption, Sudo, Yes, connector
from gpujobs.bootstrap._cli_output import Progress, confirm, out, reported
from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.gpu_operator.operator import GpuOperator
from gpujobs.bootstrap.gpu_operator.verify import verify as prove
from gpujobs.bootstrap.gpu_operator.wish import VERSION, OperatorWish
from gpujobs.bootstrap.kubernetes._cli_options import (
    Chart,
    Context,
    DistributionOption,
    Image,
    Kubeconfig,
    Timeout,
    apply_plan,
    given,
    show_checks,
    show_plan,
    show_taken,
)
from gpujobs.bootstrap.kubernetes.access import Which
from gpujobs.bootstrap.kubernetes.trial import IMAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(help="NVIDIA's GPU Operator in a Kubernetes cluster or a microk8s.", no_args_is_help=True)

Version = Annotated[str | None, typer.Option("--version", help=f"Of the chart (default: {VERSION})")]
Namespace = Annotated[str | None, typer.Option("--namespace", help="Where its pods run (default: gpu-operator)")]
Release = Annotated[str | None, typer.Option("--release", help="What helm calls it (default: gpu-operator)")]
Driver = Annotated[
    str | None, typer.Option("--driver", help="Who brings the driver: host or operator (default: host if it has one)")
]
Toolkit = Annotated[
    str | None,
    typer.Option("--toolkit", help="Who sets up the container runtime: host or operator (default: as found)"),
]
Repository = Annotated[str | None, typer.Option("--repository", metavar="URL", help="Where the chart comes from.")]
Monitoring = Annotated[
    bool | None, typer.Option("--monitoring/--no-monitoring", help="Offer DCGM's metrics to Prometheus (default: no)")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.KEY=VALUE", help="One more helm value, as JSON or text; may be repeated."),
]
Ready = Annotated[
    int | None, typer.Option("--ready-timeout", metavar="SECONDS", help="How long its pods may take (default: 1200)")
]


@app.command()
def plan(
    *, host: Host = LOCAL, version: Version = None, namespace: Namespace = None, release: Release = None,
    driver: Driver = None, toolkit: Toolkit = None, chart: Chart = None, repository: Repository = None,
    monitoring: Monitoring = None, set_: Set = None, ready_timeout: Ready = None,
    distribution: DistributionOption = None, kubeconfig: Kubeconfig = None, context: Context = None,
    sudo: Sudo = False, ssh_option: SshOption = None, json_: Json = False,
) -> None:  # fmt: skip
    """Look, and print the exact commands that apply would run; nothing is changed."""
    with reported():
        which = given(distribution=distribution, kubeconfig=kubeconfig, context=context)
        handled = _handled(host, which, sudo=sudo, ssh_option=ssh_option)
        wished = _wish(
            handled, set_, version=version, namespace=namespace, release=release, driver=driver, toolkit=toolkit,
            chart=chart, repository=repository, monitoring=monitoring, ready_s=ready_timeout, **which,
        )  # fmt: skip
        show_plan(handled.plan(wished), as_json=json_)


@app.command()
def apply(
    *, host: Host = LOCAL, version: Version = None, namespace: Namespace = None, release: Release = None,
    driver: Driver = None, toolkit: Toolkit = None, chart: Chart = None, repository: Repository = None,
    monitoring: Monitoring = None, set_: Set = None, ready_timeout: Ready = None,
    distribution: DistributionOption = None, kubeconfig: Kubeconfig = None, context: Context = None,
    sudo: Sudo = False, ssh_option: SshOption = None, yes: Yes = False, json_: Json = False,
) -> None:  # fmt: skip
    """Do what is missing; a second time nothing is, and it says so."""
    with reported():
        which = given(distribution=distribution, kubeconfig=kubeconfig, context=context)
        handled = _handled(host, which, sudo=sudo, ssh_option=ssh_option)
        wished = _wish(
            handled, set_, version=version, namespace=namespace, release=release, driver=driver, toolkit=toolkit,
            chart=chart, repository=repository, monitoring=monitoring, ready_s=ready_timeout, **which,
        )  # fmt: skip
        apply_plan(
            handled.plan(wished),
            lambda: handled.apply(wished, on_event=Progress(several=False)),
            yes=yes,
            as_json=json_,
            proof="gpujobs bootstrap gpu-operator verify",
        )


@app.command()
def verify(
    *, host: Host = LOCAL, image: Image = None, pod_timeout: Timeout = 300, distribution: DistributionOption = None,
    kubeconfig: Kubeconfig = None, context: Context = None, sudo: Sudo = False, ssh_option: SshOption = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Prove that GPUs reach pods, by sending one to every node that has some."""
    with reported():
        which = given(distribution=distribution, kubeconfig=kubeconfig, context=context)
        handled = _handled(host, which, sudo=sudo, ssh_option=ssh_option)
        good = show_checks(prove(handled.cluster, image=image or IMAGE, timeout_s=pod_timeout), as_json=json_)
    if not good:
        raise typer.Exit(1)


@app.command()
def undo(
    *, host: Host = LOCAL, distribution: DistributionOption = None, kubeconfig: Kubeconfig = None,
    context: Context = None, sudo: Sudo = False, ssh_option: SshOption = None, yes: Yes = False, json_: Json = False,
) -> None:  # fmt: skip
    """Take away what apply made, the list of it shown first, and nothing else."""
    with reported():
        which = given(distribution=distribution, kubeconfig=kubeconfig, context=context)
        handled = _handled(host, which, sudo=sudo, ssh_option=ssh_option)
        if not json_:
            for command in handled.removal():
                out().print(f"        {command}", style="cyan")
        if len(handled.machine.journal):
            confirm("Run these commands?", yes=yes)
        show_taken(handled.undo(on_event=Progress(several=False)), as_json=json_)


def _handled(host: str, which: dict[str, Any], *, sudo: bool, ssh_option: Sequence[str] | None) -> GpuOperator:
    return GpuOperator(host, connector(sudo=sudo, ssh_options=ssh_option)(host), Which.model_validate(which))


def _wish(handled: GpuOperator, values: Sequence[str] | None, **options: Any) -> OperatorWish:
    """What was wished before, with what is wished otherwise now."""
    changes = given(**options) | ({"values": parse_values(values)} if values else {})
    before = handled.wish()
    return before.replace(**changes) if before else OperatorWish.model_validate(changes)


def parse_values(words: Sequence[str]) -> dict[str, Any]:
    """The tree of values that ``--set a.b=1`` words mean.

    Raises:
        RefusedError: A word has no ``=``.
    """
    tree: dict[str, Any] = {}
    for word in words:
        path, equals, text = word.partition("=")
        if not equals or not all(path.split(".")):
            raise RefusedError(f"--set {word!r} is no KEY=VALUE.", next_step="Write it as --set driver.enabled=false.")
        *sections, key = path.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = _value(text)
    return tree


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
