"""Which GPUs a job could use. Pure."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpujobs_local._gpus import Device


@dataclass(frozen=True, slots=True)
class Demand:
    """The GPUs that one task asks for.

    Attributes:
        count: GPUs, or with ``sharing="shard"`` shares of one GPU.
        types: Names of which one must match; empty means any.
        visible: UUIDs that the submitting process could see; None means all.
    """

    count: int = 0
    types: tuple[str, ...] = ()
    memory: int | None = None
    sharing: str | None = None
    profile: str | None = None
    visible: tuple[str, ...] | None = None

    @property
    def shared(self) -> bool:
        """Whether others may hold the same GPU at the same time."""
        return self.sharing in {"time-slice", "shard"}

    @property
    def gpus(self) -> int:
        """How many different GPUs that makes."""
        return min(self.count, 1) if self.sharing == "shard" else self.count

    def to_dict(self) -> dict[str, Any]:
        """As plain values, without what is not set."""
        return {k: v for k, v in asdict(self).items() if v not in (None, (), 0)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Demand:
        """From what ``to_dict`` gave, through JSON or not."""
        lists = {name: tuple(data[name]) for name in ("types", "visible") if data.get(name) is not None}
        values: dict[str, Any] = {**data, **lists}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to hand out."""

    devices: tuple[Device, ...] = ()
    cpus: float = 1.0
    memory: int = 0
    shares: int = field(default=4)


def eligible(devices: Iterable[Device], demand: Demand, machine_memory: int) -> list[Device]:
    """The devices that a task could be given, in order."""
    units = [d for d in devices if not d.mig_parent]
    if demand.profile is not None:
        units = [d for d in units if d.profile == demand.profile]
    elif any(d.profile is None for d in units):
        # Where there are whole GPUs, only they count as a GPU; instances are asked for by profile.
        units = [d for d in units if d.profile is None]
    return [
        d
        for d in units
        if (demand.visible is None or d.uuid in demand.visible)
        and (not demand.types or any(is_type(d.name, t) for t in demand.types))
        # A GPU without memory of its own uses the machine's.
        and (demand.memory is None or (d.memory or machine_memory) >= demand.memory)
    ]


def is_type(name: str, wanted: str) -> bool:
    """Whether a product name is of a type: ``h100`` is in ``NVIDIA H100 80GB HBM3``, word by word, in any case."""
    if name.casefold() == wanted.casefold():
        return True
    return set(_words(wanted)) <= set(_words(name)) and bool(_words(wanted))


def _words(text: str) -> list[str]:
    return [w for w in re.split(r"[^a-z0-9]+", text.casefold()) if w]
