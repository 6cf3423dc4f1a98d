"""`gpujobs bootstrap gpu-operator`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from gpujobs.bootstrap._cli_options import as_json, command, given, group, yes
from gpujobs.bootstrap._cli_output import Progress, confirm, out
from gpujobs.bootstrap._cli_verbs import apply_plan, show_checks, show_nothing_taken, show_plan, show_taken
from gpujobs.bootstrap.gpu_operator.operator import GpuOperator
from gpujobs.bootstrap.gpu_operator.verify import verify as prove
from gpujobs.bootstrap.gpu_operator.wish import VERSION, OperatorWish
from gpujobs.bootstrap.kubernetes._cli_options import chart, image, in_cluster, pod_timeout
from gpujobs.bootstrap.kubernetes.access import Which
from gpujobs.bootstrap.kubernetes.trial import IMAGE
from gpujobs.cli._errors import Misuse
from gpujobs.cli._options import several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.bootstrap.shell import Shell

_wish_options = several(
    [
        click.option("--version", metavar="VERSION", help=f"Of the chart (default: {VERSION})"),
        click.option("--namespace", metavar="NAME", help="Where its pods run (default: gpu-operator)"),
        click.option("--release", metavar="NAME", help="What helm calls it (default: gpu-operator)"),
        click.option(
            "--driver", metavar="WHO", help="Who brings the driver: host or operator (default: host if it has one)"
        ),
        click.option(
            "--toolkit",
            metavar="WHO",
            help="Who sets up the container runtime: host or operator (default: as found)",
        ),
        chart,
        click.option("--repository", metavar="URL", help="Where the chart comes from."),
        click.option(
            "--monitoring/--no-monitoring", default=None, help="Offer DCGM's metrics to Prometheus (default: no)"
        ),
        click.option(
            "--set",
            "values",
            multiple=True,
            metavar="KEY.KEY=VALUE",
            help="One more helm value, as JSON or text; may be repeated.",
        ),
        click.option(
            "--ready-timeout",
            "ready_s",
            type=int,
            metavar="SECONDS",
            help="How long its pods may take (default: 1200)",
        ),
    ]
)


@command("gpujobs bootstrap gpu-operator plan")
@in_cluster
@_wish_options
@as_json
def plan(host: str, shell: Shell, which: dict[str, Any], *, json_: bool, **options: Any) -> None:
    """Look, and print the exact commands that apply would run; nothing is changed."""
    handled = GpuOperator(host, shell, Which.model_validate(which))
    show_plan(handled.plan(_wish(handled, **options, **which)), as_json=json_)


@command("gpujobs bootstrap gpu-operator apply --driver host")
@in_cluster
@_wish_options
@yes
@as_json
def apply(host: str, shell: Shell, which: dict[str, Any], *, yes: bool, json_: bool, **options: Any) -> None:
    """Do what is missing; a second time nothing is, and it says so.

    An option that is not given stays as it was at the last apply.
    """
    handled = GpuOperator(host, shell, Which.model_validate(which))
    planned = handled.plan(_wish(handled, **options, **which))
    apply_plan(
        planned,
        lambda on_event: handled.carry_out(planned, on_event=on_event),
        yes=yes,
        as_json=json_,
        proof="gpujobs bootstrap gpu-operator verify",
    )


@command("gpujobs bootstrap gpu-operator verify")
@in_cluster
@image
@pod_timeout
@as_json
def verify(host: str, shell: Shell, which: dict[str, Any], *, image: str | None, pod_timeout: int, json_: bool) -> int:
    """Prove that GPUs reach pods, by sending one to every node that has some."""
    handled = GpuOperator(host, shell, Which.model_validate(which))
    return show_checks(prove(handled.cluster, image=image or IMAGE, timeout_s=pod_timeout), as_json=json_)


@command("gpujobs bootstrap gpu-operator undo")
@in_cluster
@yes
@as_json
def undo(host: str, shell: Shell, which: dict[str, Any], *, yes: bool, json_: bool) -> None:
    """Take away what apply made, the list of it shown first, and nothing else."""
    handled = GpuOperator(host, shell, Which.model_validate(which))
    if not len(handled.machine.journal):
        show_nothing_taken(f"installed a GPU Operator in this cluster from {host}", as_json=json_)
        return
    if not json_:
        for line in handled.removal():
            out().print(f"        {line}", style="cyan")
    confirm("Run these commands?", yes=yes)
    show_taken(handled.undo(on_event=Progress(several=False)), as_json=json_)


app = group("gpu-operator", "NVIDIA's GPU Operator in a Kubernetes cluster or a microk8s.", plan, apply, verify, undo)


def _wish(handled: GpuOperator, *, values: Sequence[str], **options: Any) -> OperatorWish:
    """What was wished before, with what is wished otherwise now."""
    changes = given(**options) | ({"values": parse_values(values)} if values else {})
    before = handled.wish()
    return before.replace(**changes) if before else OperatorWish.model_validate(changes)


def parse_values(words: Sequence[str]) -> dict[str, Any]:
    """The tree of values that ``--set a.b=1`` words mean.

    Raises:
        Misuse: A word has no ``=``.
    """
    tree: dict[str, Any] = {}
    for word in words:
        path, equals, text = word.partition("=")
        if not equals or not all(path.split(".")):
            raise Misuse(f"--set {word!r} is no KEY=VALUE.", "Write it as --set driver.enabled=false.")
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
