"""``after`` on Slurm: the upstream's outcome is asked first. Slurm runs ``afterok`` of a failed job that it forgot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpujobs.errors import UnavailableError, UnsupportedError
from gpujobs.refs import Ref
from gpujobs.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.parts import After
    from gpujobs.states import Status


@dataclass(frozen=True, slots=True)
class Dependency:
    """What Slurm is told, or why it can never be met.

    Attributes:
        option: The value of ``--dependency``; empty where nothing is left to wait for.
        never: The upstream that ended otherwise than asked, and how.
    """

    option: str = ""
    never: str | None = None


NO_DEPENDENCY = Dependency()


def depend(
    after: Sequence[After],
    target: str,
    statuses: Callable[[Sequence[Ref]], list[Status]],
    running: Callable[[Ref], str],
) -> Dependency:
    """What to wait for, given how the upstream jobs stand now; ``running`` gives the Slurm job behind a ref.

    Raises:
        UnsupportedError: An upstream is on another target.
        UnavailableError: It is not known how an upstream stands.
    """
    if not after:
        return NO_DEPENDENCY
    refs = [Ref.parse(a.ref) for a in after]
    for ref in refs:
        if ref.backend != "slurm" or ref.target != target:
            raise UnsupportedError(
                f"after: {ref} is not on target {target!r}, and Slurm knows only its own jobs.",
                next_step="Wait for it yourself, then submit this one.",
            )
    parts: list[str] = []
    for wish, status in zip(after, statuses(refs), strict=True):
        if status.state is State.UNKNOWN:
            raise UnavailableError(f"after: it cannot be asked how {status.ref} stands.")
        if not status.final:
            parts.append(f"after{wish.when}:{running(status.ref)}")
        elif wish.when == "ok" and not status.succeeded:
            return Dependency(never=f"{status.ref} ended {status.state}")
    return Dependency(",".join(parts))
