"""`gpujobs doctor`: what is wrong, why, and what mends it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from gpujobs.bootstrap import doctor as doctors
from gpujobs.bootstrap._cli_options import LOCAL, Host, Json, SshOption, Sudo, Yes, connector
from gpujobs.bootstrap._cli_output import confirm, err, out, print_json, reported
from gpujobs.bootstrap.slurm import checkup as slurm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpujobs.bootstrap.doctor import Trouble
    from gpujobs.bootstrap.shell import Shell

    # Looks at a host and returns None where there is nothing of its kind, else the troubles and the machines.
    Checkup = Callable[[str, Callable[[str], Shell]], tuple[list[Trouble], Mapping[str, Shell]] | None]

CHECKUPS: Mapping[str, Checkup] = {"Slurm": slurm.checkup}
"""One per kind of system; each says None where its system is not."""


def doctor(
    *,
    host: Host = LOCAL,
    fix: Annotated[bool, typer.Option("--fix", help="Run the fixes that lose nothing, after asking.")] = False,
    yes: Yes = False,
    sudo: Sudo = False,
    ssh_option: SshOption = None,
    json_: Json = False,
) -> None:
    """Say what is wrong with the cluster on a machine, why, and what mends it."""
    with reported():
        connect = connector(sudo=sudo, ssh_options=ssh_option)
        found, troubles = _examine(host, connect, fix=fix, yes=yes, quiet=json_)
        if json_:
            print_json({"systems": found, "troubles": [trouble.to_json() for trouble in troubles]})
        elif not found:
            out().print(f"There is neither {' nor '.join(CHECKUPS)} on {host}.")
        elif not troubles:
            out().print(f"{' and '.join(found)} on {host}: nothing is wrong.")
    if troubles:
        raise typer.Exit(1)


def _examine(
    host: str, connect: Callable[[str], Shell], *, fix: bool, yes: bool, quiet: bool
) -> tuple[list[str], list[Trouble]]:
    found: list[str] = []
    left: list[Trouble] = []
    for name, checkup in CHECKUPS.items():
        result = checkup(host, connect)
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
            again = checkup(host, connect)
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
