"""What is to be done on which machines, and what a look at them says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpujobs.bootstrap.errors import BootstrapError, RefusedError
from gpujobs.bootstrap.step import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujobs.bootstrap.step import Machine, Step


@dataclass(frozen=True)
class Event:
    """Where a run stands, for whoever shows progress.

    Attributes:
        number: The step's place, from 1.
        total: How many steps there are.
        host: The machine.
        title: What the step is for.
        phase: ``doing``, then one of ``done``, ``unchanged``, ``failed``, ``undone``, ``kept``.
        detail: What is missing, what was kept, or why it failed.
    """

    number: int
    total: int
    host: str
    title: str
    phase: str
    detail: str = ""


@dataclass(frozen=True)
class Look:
    """One step of a plan, and what was found."""

    step: Step
    finding: Finding

    def to_json(self) -> dict[str, Any]:
        """A JSON object for programs."""
        return {
            "host": self.step.host,
            "title": self.step.title,
            "done": self.finding.done,
            "why": self.finding.why,
            "commands": list(self.step.commands()),
        }


@dataclass(frozen=True)
class Plan:
    """Steps in order, and the machines they are on.

    Attributes:
        what: The kind of bootstrap, which names the journal: ``slurm``, ``microk8s``.
        machines: By name; the first one keeps the wish.
        steps: In the order they are applied.
        wish: What the user asked for, as JSON.
        warnings: What works less well than asked on these machines, as sentences.
    """

    what: str
    machines: Mapping[str, Machine]
    steps: Sequence[Step]
    wish: Any = None
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        seen: set[tuple[str, str]] = set()
        for step in self.steps:
            if step.host not in self.machines:
                raise RefusedError(f"The step {step.title!r} is for {step.host!r}, which is no machine of this plan.")
            if (step.host, step.key) in seen:
                raise RefusedError(f"Two steps of this plan have the key {step.key!r} on {step.host}.")
            seen.add((step.host, step.key))

    def look(self) -> list[Look]:
        """Check every step and change nothing.

        Raises:
            UnavailableError: A machine cannot be reached.
        """
        return [Look(step, self._found(step)) for step in self.steps]

    def _found(self, step: Step) -> Finding:
        try:
            return step.check(self.machines[step.host])
        except BootstrapError as e:  # a plan without root is still a plan: the step says what it could not see
            return Finding(done=False, why=e.message)

    def to_json(self, looks: Sequence[Look] | None = None) -> dict[str, Any]:
        """The plan and what was found as one JSON object."""
        looked = self.look() if looks is None else looks
        return {
            "what": self.what,
            "hosts": list(self.machines),
            "missing": sum(not look.finding.done for look in looked),
            "warnings": list(self.warnings),
            "steps": [look.to_json() for look in looked],
        }
