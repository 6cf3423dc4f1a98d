"""`gpujobs bootstrap microk8s`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gpujobs.bootstrap._cli_options import as_json, command, given, group, on_machine, yes
from gpujobs.bootstrap._cli_output import Progress, confirm, out
from gpujobs.bootstrap._cli_verbs import apply_plan, show_checks, show_nothing_taken, show_plan, show_taken
from gpujobs.bootstrap.microk8s.microk8s import Microk8s
from gpujobs.bootstrap.microk8s.wish import ADDONS, CHANNEL, Microk8sWish
from gpujobs.cli._options import several

if TYPE_CHECKING:
    from gpujobs.bootstrap.managed import Connect

_wish_options = several(
    [
        click.option(
            "--worker", "workers", multiple=True, metavar="USER@HOST", help="A machine that joins it; may be repeated."
        ),
        click.option("--channel", metavar="CHANNEL", help=f"The snap channel (default: {CHANNEL})"),
        click.option(
            "--addon",
            "addons",
            multiple=True,
            metavar="NAME",
            help=f"An addon; may be repeated. Others that apply enabled are disabled (default: {', '.join(ADDONS)})",
        ),
        click.option("--user", metavar="NAME", help="Who may use it without sudo (default: who runs this)"),
        click.option(
            "--kube-context",
            "context",
            metavar="NAME",
            help="Its name in that user's kubeconfig (default: microk8s)",
        ),
        click.option("--snap", metavar="DIR", help="A directory there with the .snap, for machines offline."),
    ]
)


@command("gpujobs bootstrap microk8s plan")
@on_machine
@_wish_options
@as_json
def plan(host: str, connect: Connect, *, json_: bool, **options: Any) -> None:
    """Look, and print the exact commands that apply would run; nothing is changed."""
    handled = Microk8s(host, connect)
    show_plan(handled.plan(_wish(handled, options)), as_json=json_)


@command("gpujobs bootstrap microk8s apply --addon dns --addon helm3 --sudo")
@on_machine
@_wish_options
@yes
@as_json
def apply(host: str, connect: Connect, *, yes: bool, json_: bool, **options: Any) -> None:
    """Do what is missing; a second time nothing is, and it says so.

    An option that is not given stays as it was at the last apply.
    """
    handled = Microk8s(host, connect)
    _apply(handled, _wish(handled, options), yes=yes, as_json=json_)


@command("gpujobs bootstrap microk8s join root@gpu02 --sudo")
@click.argument("worker", metavar="USER@HOST")
@on_machine
@yes
@as_json
def join(host: str, connect: Connect, *, worker: str, yes: bool, json_: bool) -> None:
    """Have one more machine join as a worker."""
    handled = Microk8s(host, connect)
    before = handled.required_wish()
    wished = before.replace(workers=tuple(dict.fromkeys((*before.workers, worker))))
    _apply(handled, wished, yes=yes, as_json=json_)


@command("gpujobs bootstrap microk8s verify --sudo")
@on_machine
@as_json
def verify(host: str, connect: Connect, *, json_: bool) -> int:
    """Prove that it works for its user: version, nodes, pods."""
    return show_checks(Microk8s(host, connect).verify(), as_json=json_)


@command("gpujobs bootstrap microk8s undo --sudo")
@on_machine
@yes
@as_json
def undo(host: str, connect: Connect, *, yes: bool, json_: bool) -> None:
    """Take back what apply made, on every machine, and nothing else; Docker and its network are not touched."""
    handled = Microk8s(host, connect)
    wish = handled.wish()
    if wish is None:
        show_nothing_taken(f"set up microk8s on {host}", as_json=json_)
        return
    lost = handled.workloads()
    for line in [] if json_ else lost:
        out().print(f"goes with it: {line}", style="yellow")
    ending = f", with {len(lost)} pods and volumes in it" if lost else ""
    confirm(f"Take microk8s away from {', '.join(wish.machines)}{ending}?", yes=yes)
    show_taken(handled.undo(on_event=Progress(several=len(wish.machines) > 1)), as_json=json_)


app = group("microk8s", "microk8s, on one machine or with workers.", plan, apply, join, verify, undo)


def _apply(handled: Microk8s, wished: Microk8sWish, *, yes: bool, as_json: bool) -> None:
    planned = handled.plan(wished)
    apply_plan(
        planned,
        lambda on_event: handled.apply(planned, on_event=on_event),
        yes=yes,
        as_json=as_json,
        proof="gpujobs bootstrap microk8s verify",
    )


def _wish(handled: Microk8s, options: dict[str, Any]) -> Microk8sWish:
    """What was wished before, with what is wished otherwise now."""
    before, changes = handled.wish(), given(**options)
    return before.replace(**changes) if before else Microk8sWish(control=handled.control, **changes)
