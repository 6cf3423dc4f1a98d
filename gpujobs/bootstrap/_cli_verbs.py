"""What plan, apply, verify and undo print and ask, whatever is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap._cli_output import Progress, confirm, err, out, print_check, print_json, print_plan
from gpujobs.bootstrap.engine import TakenBack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gpujobs.bootstrap.engine import Applied, OnEvent
    from gpujobs.bootstrap.plan import Plan
    from gpujobs.bootstrap.verify import Check


def show_plan(planned: Plan, *, as_json: bool) -> None:
    """Print a plan with what was found."""
    looks = planned.look()
    if as_json:
        print_json(planned.to_json(looks))
    else:
        print_plan(planned, looks)


def apply_plan(planned: Plan, run: Callable[[OnEvent], Applied], *, yes: bool, as_json: bool, proof: str) -> None:
    """Ask, do what is missing, and say what was done.

    Args:
        planned: What there is to do.
        run: Does it, and calls the function that it is given as things go.
        yes: Whether nobody is to be asked.
        as_json: Whether a program reads standard output.
        proof: The command that proves what was done.
    """
    _ask(planned, yes=yes, as_json=as_json)
    applied = run(Progress(several=len(planned.machines) > 1))
    if as_json:
        print_json(applied.to_json())
    elif applied.changed:
        out().print(f"{len(applied.changed)} steps were done. Prove it: {proof}")
    else:
        out().print("Nothing was to be done.")


def _ask(planned: Plan, *, yes: bool, as_json: bool) -> None:
    looks = [] if yes else planned.look()
    missing = sum(not look.finding.done for look in looks)
    if missing:
        print_plan(planned, looks, err() if as_json else out())
        confirm(f"Do these {missing} steps on {', '.join(planned.machines)}?", yes=yes)
        return
    for warning in planned.warnings:
        err().print(f"note: {warning}", style="yellow")


def show_checks(checks: Iterable[Check], *, as_json: bool) -> int:
    """Print proofs as they come; the exit code: 0 if all of them hold."""
    seen: list[Check] = []
    for check in checks:
        seen.append(check)
        if not as_json:
            print_check(check)
    good = all(check.ok for check in seen)
    if as_json:
        print_json({"ok": good, "checks": [check.to_json() for check in seen]})
    return 0 if good else 1


def show_nothing_taken(made: str, *, as_json: bool) -> None:
    """Say that nothing was made, such as ``"set up Slurm on gpu01"``: an undo that is repeated is no failure."""
    if as_json:
        print_json(TakenBack().to_json())
    else:
        out().print(f"No bootstrap of gpujobs has {made}: nothing is to be taken back.")


def show_taken(taken: TakenBack, *, as_json: bool) -> None:
    """Print what was taken back, and what was kept."""
    if as_json:
        print_json(taken.to_json())
        return
    out().print(f"{len(taken.undone)} things were taken back.")
    for kept in taken.kept:
        out().print(f"kept: {kept}", style="yellow")
