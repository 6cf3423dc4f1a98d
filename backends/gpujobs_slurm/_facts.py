"""What a cluster is like: version, limits, partitions, nodes. Pure parsers of what ``scontrol`` prints."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gpujobs_slurm._gres import Gres, parse_gres

_PAIR = re.compile(r"(\w+(?:[/:]\w+)?)=")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_DURATION = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")
_DOWN = frozenset({"DOWN", "FAIL", "ERROR", "UNKNOWN", "FUTURE", "INVAL", "INVALID_REG", "POWERED_DOWN"})
_CLOSED = frozenset({"DRAIN", "DRAINED", "DRAINING", "NOT_RESPONDING", "NO_RESPOND", "FAILING", "MAINT"})


@dataclass(frozen=True, slots=True)
class Partition:
    """A queue and its limits; None where it has none."""

    name: str
    up: bool = True
    default: bool = False
    max_time: int | None = None
    """Seconds."""
    max_nodes: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A node: what it has, and what of it is in use."""

    name: str
    partitions: tuple[str, ...] = ()
    cpus: int = 0
    cpus_used: int = 0
    memory: int = 0
    """MiB, as ``memory_used``."""
    memory_used: int = 0
    features: tuple[str, ...] = ()
    gres: tuple[Gres, ...] = ()
    gres_used: tuple[Gres, ...] = ()
    state: str = ""
    reason: str = ""

    @property
    def available(self) -> bool:
        """Whether it takes new work."""
        words = set(re.split(r"[+*~#!%$@^-]", self.state))
        return not words & (_DOWN | _CLOSED) and "*" not in self.state

    def total(self, kind: str, type_: str = "") -> int:
        """How many of a resource it has."""
        return sum(g.count for g in self.gres if g.kind == kind and type_ in {"", g.type})

    def free(self, kind: str, type_: str = "") -> int:
        """How many of a resource nobody uses."""
        used = sum(g.count for g in self.gres_used if g.kind == kind and type_ in {"", g.type})
        return max(0, self.total(kind, type_) - used)


@dataclass(frozen=True, slots=True)
class Facts:
    """What rendering and sending need to know of a cluster.

    Attributes:
        home: The home directory where Slurm is, ``user`` and ``uid`` who we are there.
        cluster: Its name; job directories are kept apart by it.
        accounting: Whether ``sacct`` can answer.
        container: What runs images, or None.
    """

    home: str
    user: str = ""
    uid: int = -1
    cluster: str = "cluster"
    version: str = ""
    accounting: bool = False
    max_array: int = 1001
    message_timeout: int = 10
    container: str | None = None
    gpu_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """The lines of ``scontrol show config`` that matter."""

    values: dict[str, str] = field(default_factory=dict[str, str])

    def text(self, name: str, default: str = "") -> str:
        """A value as printed."""
        return self.values.get(name, default)

    def number(self, name: str, default: int) -> int:
        """The number a value starts with (``300 sec``)."""
        match = re.match(r"\d+", self.values.get(name, ""))
        return int(match[0]) if match else default


def parse_settings(text: str) -> Settings:
    """``scontrol show config``."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return Settings({name.strip(): value.strip() for name, _, value in pairs})


def parse_fields(line: str) -> dict[str, str]:
    """One line of ``scontrol show ... --oneliner``; values may hold blanks."""
    marks = [m for m in _PAIR.finditer(line) if m.start() == 0 or line[m.start() - 1] == " "]
    ends = [m.start() for m in marks[1:]] + [len(line)]
    return {m[1]: line[m.end() : end].strip() for m, end in zip(marks, ends, strict=False)}


def parse_partitions(text: str) -> list[Partition]:
    """``scontrol show partition --oneliner``."""
    found: list[Partition] = []
    for line in text.splitlines():
        values = parse_fields(line)
        if "PartitionName" in values:
            nodes = values.get("MaxNodes", "")
            found.append(
                Partition(
                    name=values["PartitionName"],
                    up=values.get("State", "UP") == "UP",
                    default=values.get("Default") == "YES",
                    max_time=parse_duration(values.get("MaxTime", "")),
                    max_nodes=int(nodes) if nodes.isdigit() else None,
                )
            )
    return found


def parse_nodes(text: str) -> list[Node]:
    """``scontrol show node --details --oneliner``."""
    return [_node(values) for values in map(parse_fields, text.splitlines()) if "NodeName" in values]


def _node(values: dict[str, str]) -> Node:
    def number(name: str) -> int:
        return int(m[0]) if (m := re.match(r"\d+", values.get(name, ""))) else 0

    return Node(
        name=values["NodeName"],
        partitions=_words(values.get("Partitions", "")),
        cpus=number("CPUEfctv") or number("CPUTot"),
        cpus_used=number("CPUAlloc"),
        memory=number("RealMemory"),
        memory_used=number("AllocMem"),
        features=_words(values.get("ActiveFeatures", "")),
        gres=tuple(parse_gres(values.get("Gres", ""))),
        gres_used=tuple(parse_gres(values.get("GresUsed", ""))),
        state=values.get("State", ""),
        reason=values.get("Reason", ""),
    )


def _words(text: str) -> tuple[str, ...]:
    return () if text in {"", "(null)"} else tuple(text.split(","))


def parse_duration(text: str) -> int | None:
    """Seconds of ``7-00:00:00``, ``01:00:00`` or ``30:00``; None for UNLIMITED and the like."""
    match = _DURATION.fullmatch(text)
    if not match:
        return None
    days, hours, minutes, seconds = (int(g or 0) for g in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_memory(text: str) -> int | None:
    """Bytes of ``62.50G`` and the like, as Slurm counts (powers of 1024)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    return int(float(match[1]) * _UNITS[match[2]]) if match else None
