"""`gpujobs bootstrap slurm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gpujobs.bootstrap._cli_options import as_json, command, given, group, on_machine, yes
from gpujobs.bootstrap._cli_output import Progress, confirm
from gpujobs.bootstrap._cli_verbs import apply_plan, show_checks, show_nothing_taken, show_plan, show_taken
from gpujobs.bootstrap.slurm._cli_wish import wish_options
from gpujobs.bootstrap.slurm.cluster import SlurmCluster, with_node, without_node
from gpujobs.bootstrap.slurm.wish import SlurmWish

if TYPE_CHECKING:
    from gpujobs.bootstrap.managed import Connect


@command("gpujobs bootstrap slurm plan --partition gpu --partition debug")
@on_machine
@wish_options
@as_json
def plan(host: str, connect: Connect, *, json_: bool, **options: Any) -> None:
    """Look, and print the exact commands that apply would run; nothing is changed."""
    handled = SlurmCluster(host, connect)
    show_plan(handled.plan(_wish(handled, options)), as_json=json_)


@command("gpujobs bootstrap slurm apply --host root@head --node root@gpu01 --node root@gpu02")
@on_machine
@wish_options
@yes
@as_json
def apply(host: str, connect: Connect, *, yes: bool, json_: bool, **options: Any) -> None:
    """Do what is missing; a second time nothing is, and it says so.

    An option that is not given stays as it was at the last apply.
    """
    handled = SlurmCluster(host, connect)
    _apply(handled, _wish(handled, options), yes=yes, as_json=json_)


@command("gpujobs bootstrap slurm verify")
@on_machine
@as_json
def verify(host: str, connect: Connect, *, json_: bool) -> int:
    """Prove that every node runs GPU jobs, by sending it some."""
    return show_checks(SlurmCluster(host, connect).verify(), as_json=json_)


@command("gpujobs bootstrap slurm undo")
@on_machine
@yes
@as_json
def undo(host: str, connect: Connect, *, yes: bool, json_: bool) -> None:
    """Take back what apply made, on every machine, and nothing else."""
    handled = SlurmCluster(host, connect)
    wish = handled.wish()
    if wish is None:
        show_nothing_taken(f"set up Slurm on {host}", as_json=json_)
        return
    jobs = handled.jobs()
    ending = f"; {jobs} jobs will be cancelled" if jobs else ""
    confirm(f"Take Slurm away from {', '.join(wish.machines)}{ending}?", yes=yes)
    show_taken(handled.undo(on_event=Progress(several=len(wish.machines) > 1)), as_json=json_)


@command("gpujobs bootstrap slurm nodes add root@gpu03 --host root@head", name="add")
@click.argument("node", metavar="USER@HOST")
@on_machine
@yes
@as_json
def nodes_add(host: str, connect: Connect, *, node: str, yes: bool, json_: bool) -> None:
    """Have one more machine run jobs."""
    handled = SlurmCluster(host, connect)
    _apply(handled, with_node(handled.required_wish(), node), yes=yes, as_json=json_)


@command("gpujobs bootstrap slurm nodes remove root@gpu01 --host root@head", name="remove")
@click.argument("node", metavar="USER@HOST")
@on_machine
@click.option("--gone", is_flag=True, help="It is lost for good: do not try to reach it.")
@yes
@as_json
def nodes_remove(host: str, connect: Connect, *, node: str, gone: bool, yes: bool, json_: bool) -> None:
    """Have one machine run no more jobs (those on it are cancelled), and take back what was made on it."""
    handled = SlurmCluster(host, connect)
    _apply(handled, without_node(handled.required_wish(), node), yes=yes, as_json=json_, gone=gone)


nodes = group("nodes", "Machines that join the cluster, or leave it.", nodes_add, nodes_remove)
app = group("slurm", "Slurm with GPUs, on one machine or several.", plan, apply, verify, undo, nodes)


def _wish(handled: SlurmCluster, options: dict[str, Any]) -> SlurmWish:
    """What was wished before, with what is wished otherwise now."""
    before, changes = handled.wish(), given(**options)
    return before.replace(**changes) if before else SlurmWish(controller=handled.control, **changes)


def _apply(handled: SlurmCluster, wish: SlurmWish, *, yes: bool, as_json: bool, gone: bool = False) -> None:
    planned = handled.plan(wish)
    apply_plan(
        planned,
        lambda on_event: handled.apply(planned, on_event=on_event, unreachable=gone),
        yes=yes,
        as_json=as_json,
        proof="gpujobs bootstrap slurm verify",
    )
