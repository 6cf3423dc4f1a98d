"""`gpujobs bootstrap slurm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpujobs.bootstrap._cli_options import LOCAL, Host, Json, SshOption, Sudo, Yes, connector
from gpujobs.bootstrap._cli_output import (
    Progress,
    confirm,
    err,
    out,
    print_check,
    print_json,
    print_plan,
    reported,
)
from gpujobs.bootstrap.engine import TakenBack
from gpujobs.bootstrap.slurm.cluster import SlurmCluster, with_node, without_node
from gpujobs.bootstrap.slurm.wish import SlurmWish

if TYPE_CHECKING:
    from gpujobs.bootstrap.verify import Check

app = typer.Typer(help="Slurm with GPUs, on one machine or several.", no_args_is_help=True)
nodes_app = typer.Typer(help="Machines that join the cluster, or leave it.", no_args_is_help=True)
app.add_typer(nodes_app, name="nodes")

Node = Annotated[
    list[str] | None,
    typer.Option(
        "--node", metavar="USER@HOST", help="A machine that runs jobs; may be repeated. Without: --host itself."
    ),
]
Partition = Annotated[
    list[str] | None,
    typer.Option("--partition", help="A partition, the first one the default; may be repeated (default: gpu)"),
]
Name = Annotated[str | None, typer.Option("--cluster", help="The name of the cluster (default: gpujobs)")]
GpuType = Annotated[
    str | None, typer.Option("--gpu-type", help='What the GPUs are called; "" for no name (default: from the driver)')
]
Shards = Annotated[int | None, typer.Option("--shards", help="Jobs that may share one GPU by shard:1 (default: 0)")]
Autodetect = Annotated[
    str | None, typer.Option("--autodetect", help="off, or nvidia (Slurm 24.11 and newer) (default: off)")
]
Reserve = Annotated[
    str | None,
    typer.Option("--memory-reserve", help="Memory that jobs may not have (default: 1GiB; 8GiB if GPUs share it)"),
]
MaxTime = Annotated[str | None, typer.Option("--max-time", help="The longest a job may run (default: no limit)")]
Accounting = Annotated[
    bool | None, typer.Option("--accounting/--no-accounting", help="Job records in MariaDB, by slurmdbd (default: no)")
]
Rest = Annotated[bool | None, typer.Option("--rest/--no-rest", help="slurmrestd with tokens (default: no)")]
RestAddress = Annotated[str | None, typer.Option("--rest-address", help="Where it listens (default: 127.0.0.1:6820)")]
Source = Annotated[
    str | None, typer.Option("--source", metavar="DIR", help="A directory of .deb files there, for machines offline.")
]
Adopt = Annotated[
    bool | None, typer.Option("--adopt", help="Replace a Slurm configuration of somebody else (kept for undo).")
]
GpusRequired = Annotated[
    bool | None, typer.Option("--gpus-required/--no-gpus-required", help="Refuse nodes without a GPU (default: yes)")
]


@app.command()
def plan(
    *, host: Host = LOCAL, node: Node = None, partition: Partition = None, cluster: Name = None,
    gpu_type: GpuType = None,
    shards: Shards = None, autodetect: Autodetect = None, memory_reserve: Reserve = None, max_time: MaxTime = None,
    accounting: Accounting = None, rest: Rest = None, rest_address: RestAddress = None, source: Source = None,
    adopt: Adopt = None, gpus_required: GpusRequired = None,
    sudo: Sudo = False, ssh_option: SshOption = None, json_: Json = False,
) -> None:  # fmt: skip
    """Look, and print the exact commands that apply would run; nothing is changed."""
    with reported():
        given = _given(
            node=node, partition=partition, cluster=cluster, gpu_type=gpu_type, shards=shards, autodetect=autodetect,
            memory_reserve=memory_reserve, max_time=max_time, accounting=accounting, rest=rest,
            rest_address=rest_address, source=source, adopt=adopt, gpus_required=gpus_required,
        )  # fmt: skip
        handled = SlurmCluster(host, connector(sudo=sudo, ssh_options=ssh_option))
        planned = handled.plan(_wish(handled, host, given))
        looks = planned.look()
        if json_:
            print_json(planned.to_json(looks))
        else:
            print_plan(planned, looks)


@app.command()
def apply(
    *, host: Host = LOCAL, node: Node = None, partition: Partition = None, cluster: Name = None,
    gpu_type: GpuType = None,
    shards: Shards = None, autodetect: Autodetect = None, memory_reserve: Reserve = None, max_time: MaxTime = None,
    accounting: Accounting = None, rest: Rest = None, rest_address: RestAddress = None, source: Source = None,
    adopt: Adopt = None, gpus_required: GpusRequired = None,
    sudo: Sudo = False, ssh_option: SshOption = None, yes: Yes = False, json_: Json = False,
) -> None:  # fmt: skip
    """Do what is missing; a second time nothing is, and it says so."""
    with reported():
        given = _given(
            node=node, partition=partition, cluster=cluster, gpu_type=gpu_type, shards=shards, autodetect=autodetect,
            memory_reserve=memory_reserve, max_time=max_time, accounting=accounting, rest=rest,
            rest_address=rest_address, source=source, adopt=adopt, gpus_required=gpus_required,
        )  # fmt: skip
        handled = SlurmCluster(host, connector(sudo=sudo, ssh_options=ssh_option))
        _apply(handled, _wish(handled, host, given), yes=yes, as_json=json_)


@app.command()
def verify(*, host: Host = LOCAL, sudo: Sudo = False, ssh_option: SshOption = None, json_: Json = False) -> None:
    """Prove that every node runs GPU jobs, by sending it some."""
    with reported():
        checks: list[Check] = []
        for check in SlurmCluster(host, connector(sudo=sudo, ssh_options=ssh_option)).verify():
            checks.append(check)
            if not json_:
                print_check(check)
        good = all(check.ok for check in checks)
        if json_:
            print_json({"ok": good, "checks": [check.to_json() for check in checks]})
    if not good:
        raise typer.Exit(1)


@app.command()
def undo(
    *, host: Host = LOCAL, sudo: Sudo = False, ssh_option: SshOption = None, yes: Yes = False, json_: Json = False
) -> None:
    """Take back what apply made, on every machine, and nothing else."""
    with reported():
        handled = SlurmCluster(host, connector(sudo=sudo, ssh_options=ssh_option))
        wish = handled.wish()
        if wish is None:
            _nothing_to_undo(host, as_json=json_)
            return
        jobs = handled.jobs()
        ending = f"; {jobs} jobs will be cancelled" if jobs else ""
        confirm(f"Take Slurm away from {', '.join(wish.machines)}{ending}?", yes=yes)
        taken = handled.undo(on_event=Progress(several=len(wish.machines) > 1))
        if json_:
            print_json(taken.to_json())
        else:
            out().print(f"{len(taken.undone)} things were taken back.")
            for kept in taken.kept:
                out().print(f"kept: {kept}", style="yellow")


def _nothing_to_undo(host: str, *, as_json: bool) -> None:
    """An undo that is repeated is no failure."""
    if as_json:
        print_json(TakenBack().to_json())
    else:
        out().print(f"No bootstrap of gpujobs has set up Slurm on {host}: nothing is to be taken back.")


@nodes_app.command("add")
def nodes_add(
    node: Annotated[str, typer.Argument(metavar="USER@HOST")], *, host: Host = LOCAL, sudo: Sudo = False,
    ssh_option: SshOption = None, yes: Yes = False, json_: Json = False,
) -> None:  # fmt: skip
    """Have one more machine run jobs."""
    with reported():
        handled = SlurmCluster(host, connector(sudo=sudo, ssh_options=ssh_option))
        _apply(handled, with_node(handled.required_wish(), node), yes=yes, as_json=json_)


@nodes_app.command("remove")
def nodes_remove(
    node: Annotated[str, typer.Argument(metavar="USER@HOST")], *, host: Host = LOCAL, sudo: Sudo = False,
    gone: Annotated[bool, typer.Option("--gone", help="It is lost for good: do not try to reach it.")] = False,
    ssh_option: SshOption = None, yes: Yes = False, json_: Json = False,
) -> None:  # fmt: skip
    """Have one machine run no more jobs (those on it are cancelled), and take back what was made on it."""
    with reported():
        handled = SlurmCluster(host, connector(sudo=sudo, ssh_options=ssh_option))
        _apply(handled, without_node(handled.required_wish(), node), yes=yes, as_json=json_, gone=gone)


def _given(**options: Any) -> dict[str, Any]:
    named = {"node": "nodes", "partition": "partitions"}
    return {named.get(name, name): value for name, value in options.items() if value is not None}


def _wish(handled: SlurmCluster, host: str, given: dict[str, Any]) -> SlurmWish:
    """What was wished before, with what is wished otherwise now."""
    before = handled.wish()
    return before.replace(**given) if before else SlurmWish(controller=host, **given)


def _apply(handled: SlurmCluster, wish: SlurmWish, *, yes: bool, as_json: bool, gone: bool = False) -> None:
    planned = handled.plan(wish)
    if yes:
        for warning in planned.warnings:
            err().print(f"note: {warning}", style="yellow")
    else:
        looks = planned.look()
        print_plan(planned, looks)
        missing = sum(not look.finding.done for look in looks)
        if missing:
            confirm(f"Do these {missing} steps on {', '.join(wish.machines)}?", yes=yes)
    applied = handled.apply(planned, on_event=Progress(several=len(wish.machines) > 1), unreachable=gone)
    if as_json:
        print_json(applied.to_json())
    elif applied.changed:
        out().print(f"{len(applied.changed)} steps were done. Prove it: gpujobs bootstrap slurm verify")
    else:
        out().print("Nothing was to be done.")
