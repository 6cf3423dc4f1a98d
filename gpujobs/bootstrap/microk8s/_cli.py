"""`gpujobs bootstrap microk8s`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gpujobs.bootstrap._cli_options import LOCAL, Host, Json, SshOption, Sudo, Yes, connector
from gpujobs.bootstrap._cli_output import Progress, confirm, out, reported
from gpujobs.bootstrap.kubernetes._cli_options import apply_plan, given, show_checks, show_plan, show_taken
from gpujobs.bootstrap.microk8s.microk8s import Microk8s
from gpujobs.bootstrap.microk8s.wish import ADDONS, CHANNEL, Microk8sWish

app = typer.Typer(help="microk8s, on one machine or with workers.", no_args_is_help=True)

Worker = Annotated[
    list[str] | None, typer.Option("--worker", metavar="USER@HOST", help="A machine that joins it; may be repeated.")
]
Channel = Annotated[str | None, typer.Option("--channel", help=f"The snap channel (default: {CHANNEL})")]
Addon = Annotated[
    list[str] | None, typer.Option("--addon", help=f"An addon; may be repeated (default: {', '.join(ADDONS)})")
]
User = Annotated[str | None, typer.Option("--user", help="Who may use it without sudo (default: who runs this)")]
KubeContext = Annotated[
    str | None, typer.Option("--kube-context", help="Its name in that user's kubeconfig (default: microk8s)")
]
Snap = Annotated[
    str | None, typer.Option("--snap", metavar="DIR", help="A directory there with the .snap, for machines offline.")
]


@app.command()
def plan(
    *, host: Host = LOCAL, worker: Worker = None, channel: Channel = None, addon: Addon = None, user: User = None,
    kube_context: KubeContext = None, snap: Snap = None, sudo: Sudo = False, ssh_option: SshOption = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Look, and print the exact commands that apply would run; nothing is changed."""
    with reported():
        handled = Microk8s(host, connector(sudo=sudo, ssh_options=ssh_option))
        options = given(workers=worker, channel=channel, addons=addon, user=user, context=kube_context, snap=snap)
        show_plan(handled.plan(_wish(handled, host, options)), as_json=json_)


@app.command()
def apply(
    *, host: Host = LOCAL, worker: Worker = None, channel: Channel = None, addon: Addon = None, user: User = None,
    kube_context: KubeContext = None, snap: Snap = None, sudo: Sudo = False, ssh_option: SshOption = None,
    yes: Yes = False, json_: Json = False,
) -> None:  # fmt: skip
    """Do what is missing; a second time nothing is, and it says so."""
    with reported():
        handled = Microk8s(host, connector(sudo=sudo, ssh_options=ssh_option))
        options = given(workers=worker, channel=channel, addons=addon, user=user, context=kube_context, snap=snap)
        wished = _wish(handled, host, options)
        apply_plan(
            handled.plan(wished),
            lambda: handled.apply(wished, on_event=Progress(several=len(wished.machines) > 1)),
            yes=yes,
            as_json=json_,
            proof="gpujobs bootstrap microk8s verify",
        )


@app.command()
def join(
    worker: Annotated[str, typer.Argument(metavar="USER@HOST")], *, host: Host = LOCAL, sudo: Sudo = False,
    ssh_option: SshOption = None, yes: Yes = False, json_: Json = False,
) -> None:  # fmt: skip
    """Have one more machine join as a worker."""
    with reported():
        handled = Microk8s(host, connector(sudo=sudo, ssh_options=ssh_option))
        before = handled.required_wish()
        wished = before.replace(workers=tuple(dict.fromkeys((*before.workers, worker))))
        apply_plan(
            handled.plan(wished),
            lambda: handled.apply(wished, on_event=Progress(several=True)),
            yes=yes,
            as_json=json_,
            proof="gpujobs bootstrap microk8s verify",
        )


@app.command()
def verify(*, host: Host = LOCAL, sudo: Sudo = False, ssh_option: SshOption = None, json_: Json = False) -> None:
    """Prove that it works for its user: version, nodes, pods."""
    with reported():
        handled = Microk8s(host, connector(sudo=sudo, ssh_options=ssh_option))
        good = show_checks(handled.verify(), as_json=json_)
    if not good:
        raise typer.Exit(1)


@app.command()
def undo(
    *, host: Host = LOCAL, sudo: Sudo = False, ssh_option: SshOption = None, yes: Yes = False, json_: Json = False
) -> None:
    """Take back what apply made, on every machine, and nothing else; Docker and its network are not touched."""
    with reported():
        handled = Microk8s(host, connector(sudo=sudo, ssh_options=ssh_option))
        wish, lost = handled.required_wish(), handled.workloads()
        for line in [] if json_ else lost:
            out().print(f"goes with it: {line}", style="yellow")
        ending = f", with {len(lost)} pods and volumes in it" if lost else ""
        confirm(f"Take microk8s away from {', '.join(wish.machines)}{ending}?", yes=yes)
        show_taken(handled.undo(on_event=Progress(several=len(wish.machines) > 1)), as_json=json_)


def _wish(handled: Microk8s, host: str, options: dict[str, Any]) -> Microk8sWish:
    """What was wished before, with what is wished otherwise now."""
    before = handled.wish()
    return before.replace(**options) if before else Microk8sWish(control=host, **options)
