"""`gpujobs doctor`: what is wrong, why, and what mends it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from gpujobs.bootstrap import doctor as doctors
from gpujobs.bootstrap._cli_options import as_json, command, connector, machine_options, yes
from gpujobs.bootstrap._cli_output import confirm, err, out, print_json
from gpujobs.bootstrap.visits import of_host, of_target
from gpujobs.cli._completion import complete_targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs.bootstrap.doctor import Trouble
    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.visits import Visit


@command("gpujobs doctor", "gpujobs doctor --json")
@machine_options
@click.option(
    "-t",
    "--target",
    metavar="NAME",
    shell_complete=complete_targets,
    help="What a target of the configuration is on.",
)
@click.option("--fix", is_flag=True, help="Run the fixes that lose nothing, after asking.")
@yes
@as_json
def doctor(
    *, host: str, sudo: bool, ssh_option: tuple[str, ...], target: str | None, fix: bool, yes: bool, json_: bool
) -> int:
    """Say what is wrong with a machine, a cluster or a target, why, and what mends it."""
    visit = of_target(target) if target else of_host(host)
    connect = connector(sudo=sudo, ssh_options=(*visit.ssh_options, *ssh_option))
    found, troubles = _examine(visit, connect, fix=fix, yes=yes, quiet=json_)
    if json_:
        print_json({"systems": found, "troubles": [trouble.to_json() for trouble in troubles]})
    elif not found:
        out().print(f"There is neither {' nor '.join(visit.checkups)} on {visit.host}.")
    elif not troubles:
        out().print(f"{', '.join(found)} on {visit.host}: nothing is wrong.")
    return 1 if troubles else 0


def _examine(
    visit: Visit, connect: Callable[[str], Shell], *, fix: bool, yes: bool, quiet: bool
) -> tuple[list[str], list[Trouble]]:
    found: list[str] = []
    left: list[Trouble] = []
    for name, checkup in visit.checkups.items():
        result = checkup(visit.host, connect)
        if result is None:
            continue
        found.append(name)
        troubles, shells = result
        if not quiet:
            _show(troubles)
        safe = [trouble for trouble in troubles if trouble.safe]
        if fix and safe:
            confirm(f"Run the fixes of {len(safe)} of these {len(troubles)} troubles?", yes=yes)
            for trouble in doctors.mend(safe, shells):
                err().print(f"mended: {trouble.what}", style="green")
            again = checkup(visit.host, connect)
            troubles = again[0] if again else []
            if not quiet and troubles:
                err().print("What is left:")
                _show(troubles)
        left += troubles
    return found, left


def _show(troubles: list[Trouble]) -> None:
    console = out()
    for trouble in troubles:
        console.print(f"{trouble.host}: {trouble.what}", style="red")
        if trouble.why:
            console.print(f"  why: {trouble.why}")
        for argv in trouble.fix:
            console.print(f"  {'fix' if trouble.safe else 'fix (not by --fix)'}: {shlex.join(argv)}", style="cyan")
        if trouble.advice:
            console.print(f"  do:  {trouble.advice}")
