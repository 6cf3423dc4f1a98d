"""Applying a plan, and taking it back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpujobs.bootstrap._lock import LOCK_FILE, locked
from gpujobs.bootstrap.errors import BootstrapError, StepFailedError
from gpujobs.bootstrap.plan import Event
from gpujobs.errors import GpuJobsError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from gpujobs.bootstrap.journal import Entry
    from gpujobs.bootstrap.plan import Plan
    from gpujobs.bootstrap.step import Finding, Machine, Step, Undone

    Undoer = Callable[[Machine, Mapping[str, Any]], Undone]
    OnEvent = Callable[[Event], None]


@dataclass
class Applied:
    """What an apply did, as titles with their hosts."""

    changed: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])

    def to_json(self) -> dict[str, Any]:
        """A JSON object for programs."""
        return {"changed": self.changed, "unchanged": len(self.unchanged)}


@dataclass
class TakenBack:
    """What an undo did, as titles with their hosts."""

    undone: list[str] = field(default_factory=list[str])
    kept: list[str] = field(default_factory=list[str])

    def to_json(self) -> dict[str, Any]:
        """A JSON object for programs."""
        return {"undone": self.undone, "kept": self.kept}


def unwatched(_: Event) -> None:
    """Nobody watches."""


@contextlib.contextmanager
def holding(machines: Iterable[Machine], *, lock_file: str = LOCK_FILE) -> Generator[None, None, None]:
    """Hold the locks of all machines, and read their journals anew.

    Raises:
        BusyError: Another bootstrap holds one of them.
    """
    with contextlib.ExitStack() as stack:
        for machine in machines:
            stack.enter_context(locked(machine.shell, path=lock_file))
            machine.journal.reload()
        yield


def apply(plan: Plan, *, on_event: OnEvent = unwatched, lock_file: str = LOCK_FILE) -> Applied:
    """Do what is missing, step by step, and look again after each.

    Raises:
        StepFailedError: A step failed; what came before it stays, and another apply goes on from there.
        BusyError: Another bootstrap is at work on one of the machines.
        UnavailableError: A machine cannot be reached.
    """
    applied = Applied()
    with holding(plan.machines.values(), lock_file=lock_file):
        for number, step in enumerate(plan.steps, 1):
            place = _Place(plan.steps, number, on_event)
            if _apply_step(place, step, plan.machines[step.host], plan):
                applied.changed.append(_named(step))
            else:
                applied.unchanged.append(_named(step))
        for machine in plan.machines.values():
            if len(machine.journal):
                machine.journal.remember(plan.wish)
    return applied


@dataclass(frozen=True)
class _Place:
    steps: Sequence[Step]
    number: int
    on_event: OnEvent

    def say(self, phase: str, detail: str = "") -> None:
        step = self.steps[self.number - 1]
        self.on_event(Event(self.number, len(self.steps), step.host, step.title, phase, detail))

    def failed(self, why: str, cause: Exception | None) -> StepFailedError:
        self.say("failed", why)
        step = self.steps[self.number - 1]
        return StepFailedError(
            f"Step {self.number} of {len(self.steps)}, {step.title!r} on {step.host}, failed: {why}",
            step=step.title,
            host=step.host,
            cause=cause,
            done=[_named(s) for s in self.steps[: self.number - 1]],
            not_done=[_named(s) for s in self.steps[self.number - 1 :]],
        )


def _apply_step(place: _Place, step: Step, machine: Machine, plan: Plan) -> bool:
    """Whether the step changed anything."""
    try:
        finding = step.check(machine)
        if finding.done:
            place.say("unchanged", finding.why)
            return False
        place.say("doing", finding.why)
        # An interrupted first run must leave enough behind for an undo without options.
        machine.journal.remember(plan.wish)
        step.apply(machine)
        finding = step.check(machine)
    except GpuJobsError as e:
        raise place.failed(e.message, e) from e
    _settled(place, finding)
    return True


def _settled(place: _Place, finding: Finding) -> None:
    if not finding.done:
        raise place.failed(f"it ran without an error, yet {finding.why}", None)
    place.say("done", finding.why)


def undo(
    machines: Mapping[str, Machine],
    undoers: Mapping[str, Undoer],
    *,
    on_event: OnEvent = unwatched,
    lock_file: str = LOCK_FILE,
) -> TakenBack:
    """Take back what the journals say was made, the last thing first, and nothing else.

    Args:
        machines: In the order in which they were set up.
        undoers: The undo of each kind of step.
        on_event: Called as things go.
        lock_file: Where the lock is.

    Raises:
        StepFailedError: Something could not be taken back; another undo goes on from there.
    """
    taken = TakenBack()
    with holding(machines.values(), lock_file=lock_file):
        todo = [
            (machine, entry)
            for machine in reversed(list(machines.values()))
            for entry in reversed(tuple(machine.journal))
        ]
        for number, (machine, entry) in enumerate(todo, 1):
            kept = _undo_entry(todo, number, undoers, on_event)
            (taken.kept if kept else taken.undone).append(
                f"{machine.name}: {entry.title}" + (f": {kept}" if kept else "")
            )
        for machine in machines.values():
            machine.journal.remove()
    return taken


def _undo_entry(
    todo: Sequence[tuple[Machine, Entry]], number: int, undoers: Mapping[str, Undoer], on_event: OnEvent
) -> str:
    machine, entry = todo[number - 1]

    def say(phase: str, detail: str = "") -> None:
        on_event(Event(number, len(todo), machine.name, entry.title, phase, detail))

    say("doing")
    try:
        if entry.kind not in undoers:
            raise BootstrapError(
                f"{entry.kind!r} is no kind of step that this gpujobs can undo.", next_step="Upgrade gpujobs."
            )
        undone = undoers[entry.kind](machine, entry.data)
        machine.journal.forget(entry.key)
    except GpuJobsError as e:
        say("failed", e.message)
        names = [f"{m.name}: {x.title}" for m, x in todo]
        raise StepFailedError(
            f"{entry.title!r} on {machine.name} could not be taken back: {e.message}",
            step=entry.title, host=machine.name, cause=e, done=names[: number - 1], not_done=names[number - 1 :],
        ) from e  # fmt: skip
    say("kept" if undone.kept else "undone", undone.kept)
    return undone.kept


def _named(step: Step) -> str:
    return f"{step.host}: {step.title}"
