"""Options that the Kubernetes bootstraps share, and what they do alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpujobs.bootstrap._cli_output import confirm, err, out, print_check, print_json, print_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gpujobs.bootstrap.engine import Applied, TakenBack
    from gpujobs.bootstrap.plan import Plan
    from gpujobs.bootstrap.verify import Check

Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", metavar="FILE", help="A kubeconfig there (default: kubectl's own choice)")
]
Context = Annotated[str | None, typer.Option("--context", help="A context of it (default: the current one)")]
DistributionOption = Annotated[
    str | None,
    typer.Option("--distribution", help="microk8s or kubernetes (default: microk8s where it is installed)"),
]
Chart = Annotated[
    str | None, typer.Option("--chart", metavar="PATH", help="The chart as a file there, for machines offline.")
]
Image = Annotated[
    str | None, typer.Option("--image", help="The image of the pods that are sent (default: one of NVIDIA's with CUDA)")
]
Timeout = Annotated[
    int, typer.Option("--pod-timeout", metavar="SECONDS", help="How long such a pod may take, its image included.")
]


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def show_plan(planned: Plan, *, as_json: bool) -> None:
    """Print a plan with what was found."""
    looks = planned.look()
    if as_json:
        print_json(planned.to_json(looks))
    else:
        print_plan(planned, looks)


def apply_plan(planned: Plan, run: Callable[[], Applied], *, yes: bool, as_json: bool, proof: str) -> None:
    """Ask, do what is missing, and say what was done."""
    looks = planned.look()
    missing = sum(not look.finding.done for look in looks)
    for warning in planned.warnings:
        err().print(f"note: {warning}", style="yellow")
    if missing and not yes:
        print_plan(planned, looks)
        confirm(f"Do these {missing} steps?", yes=yes)
    applied = run()
    if as_json:
        print_json(applied.to_json())
    elif applied.changed:
        out().print(f"{len(applied.changed)} steps were done. Prove it: {proof}")
    else:
        out().print("Nothing was to be done.")


def show_checks(checks: Iterable[Check], *, as_json: bool) -> bool:
    """Print proofs as they come; whether all of them hold."""
    seen: list[Check] = []
    for check in checks:
        seen.append(check)
        if not as_json:
            print_check(check)
    good = all(check.ok for check in seen)
    if as_json:
        print_json({"ok": good, "checks": [check.to_json() for check in seen]})
    return good


def show_taken(taken: TakenBack, *, as_json: bool) -> None:
    """Print what was taken back, and what was kept."""
    if as_json:
        print_json(taken.to_json())
        return
    out().print(f"{len(taken.undone)} things were taken back.")
    for kept in taken.kept:
        out().print(f"kept: {kept}", style="yellow")
