"""Slurm's job states -> ours. Held complete against the enums of ``slurm.h`` by a test that reads that header."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from gpujobs.reasons import Reason
from gpujobs.states import State


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a state word means: ours, and the reason it implies by itself."""

    state: State
    reason: Reason | None = None


BASE: dict[str, Meaning] = {
    "PENDING": Meaning(State.PENDING),
    "RUNNING": Meaning(State.RUNNING),
    "SUSPENDED": Meaning(State.SUSPENDED, Reason.PAUSED),
    "COMPLETED": Meaning(State.SUCCEEDED),
    "CANCELLED": Meaning(State.CANCELLED, Reason.CANCELLED),
    "FAILED": Meaning(State.FAILED, Reason.EXIT_CODE),
    "TIMEOUT": Meaning(State.FAILED, Reason.TIMEOUT),
    "NODE_FAIL": Meaning(State.FAILED, Reason.NODE_FAIL),
    "PREEMPTED": Meaning(State.FAILED, Reason.PREEMPTED),
    "BOOT_FAIL": Meaning(State.FAILED, Reason.NODE_FAIL),
    "DEADLINE": Meaning(State.FAILED, Reason.DEADLINE),
    "OUT_OF_MEMORY": Meaning(State.FAILED, Reason.OOM),
}
"""The base states, as ``squeue`` and ``sacct`` print them."""

FLAGS: dict[str, Meaning] = {
    "COMPLETING": Meaning(State.RUNNING, Reason.STOPPING),
    "CONFIGURING": Meaning(State.PENDING, Reason.STARTING),
    "POWER_UP_NODE": Meaning(State.PENDING, Reason.STARTING),
    "RESIZING": Meaning(State.RUNNING),
    "SIGNALING": Meaning(State.RUNNING),
    "EXPEDITING": Meaning(State.PENDING, Reason.REQUEUED),
    "STAGE_OUT": Meaning(State.RUNNING, Reason.STOPPING),
    "STOPPED": Meaning(State.SUSPENDED, Reason.PAUSED),
    "REQUEUED": Meaning(State.PENDING, Reason.REQUEUED),
    "REQUEUE_FED": Meaning(State.PENDING, Reason.REQUEUED),
    "REQUEUE_HOLD": Meaning(State.PENDING, Reason.HELD),
    "SPECIAL_EXIT": Meaning(State.PENDING, Reason.HELD),
    "RESV_DEL_HOLD": Meaning(State.PENDING, Reason.HELD),
    "REVOKED": Meaning(State.CANCELLED, Reason.CANCELLED),
    # These stand beside a base state, which says more; alone they are no end.
    "LAUNCH_FAILED": Meaning(State.PENDING, Reason.LAUNCH_FAILED),
    "GETENV_FAILED": Meaning(State.PENDING, Reason.LAUNCH_FAILED),
    "RECONFIG_FAIL": Meaning(State.PENDING, Reason.NODE_FAIL),
    "UPDATE_DB": Meaning(State.RUNNING),
}
"""State flags: where one is set, ``squeue`` prints it instead of the base state."""

HEADER_NAMES: dict[str, str] = {
    "COMPLETE": "COMPLETED",
    "OOM": "OUT_OF_MEMORY",
    "REQUEUE": "REQUEUED",
}
"""Where the word printed is not the name in ``slurm.h`` without ``JOB_``."""

_UNKNOWN = Meaning(State.UNKNOWN, Reason.UNKNOWN)


@cache
def meaning(word: str) -> Meaning:
    """What a state word means; one that is new to us is UNKNOWN, never an end.

    ``sacct`` prints ``CANCELLED by 1000``; a list of flags, as newer versions give it, is joined by ``,`` or ``+``.
    """
    words = word.split(" ", 1)[0].replace("+", ",").split(",")
    flags = [FLAGS[w] for w in words if w in FLAGS and w not in _BESIDE]
    bases = [BASE[w] for w in words if w in BASE]
    beside = [FLAGS[w] for w in words if w in _BESIDE]
    return [*flags, *bases, *beside, _UNKNOWN][0]


_BESIDE = frozenset({"LAUNCH_FAILED", "GETENV_FAILED", "RECONFIG_FAIL", "UPDATE_DB", "POWER_UP_NODE"})
"""Flags that yield to the base state where both are given."""
