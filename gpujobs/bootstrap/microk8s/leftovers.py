"""What a former apply made of a microk8s and the wish no longer has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.microk8s.steps import READY
from gpujobs.bootstrap.steps import TakeBack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpujobs.bootstrap.engine import Undoer
    from gpujobs.bootstrap.step import Machine, Step

# What an option decides. The rest of a plan follows from what is found, and may miss what it has made itself: snapd.
_CHOSEN = ("command:addon-", "command:node-")


def with_leftovers(steps: tuple[Step, ...], control: Machine, undoers: Mapping[str, Undoer]) -> tuple[Step, ...]:
    """The plan, and what is to be taken back: once microk8s is ready, and before what takes its place is made."""
    ready = 1 + next(n for n, step in enumerate(steps) if step.key == READY)
    return (*steps[:ready], *no_longer_wished(steps, control, undoers), *steps[ready:])


def no_longer_wished(steps: Iterable[Step], control: Machine, undoers: Mapping[str, Undoer]) -> tuple[TakeBack, ...]:
    """Addons, workers and former names of contexts that are in the journal and not in the plan, the last one first.

    What somebody enabled by hand is in no journal, and stays. So does the context of another user: that somebody else
    runs an apply says nothing about it.

    Args:
        steps: Those of the plan.
        control: The machine that decides.
        undoers: The undo of each kind of step.
    """
    wished = {step.key for step in steps if step.host == control.name}
    files = tuple(f"{key.rpartition('#')[0]}#" for key in wished if key.startswith("kubeconfig:"))
    return tuple(
        TakeBack(control.name, entry, undoers[entry.kind])
        for entry in reversed(tuple(control.journal))
        if entry.key.startswith((*_CHOSEN, *files)) and entry.key not in wished
    )
