"""How Slurm spells GPUs: ``--gres=gpu:TYPE:N``, shards, MPS and MIG profiles; and reading them back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpujobs.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpujobs.gpu import Gpu

_ITEM = re.compile(
    r"(?:gres[/:])?(?P<kind>\w+)(?:[:/](?P<type>[^:=()\d][^:=()]*|\d+g\.[^:=()]+))?(?:[:=](?P<count>\d+))?"
)


def gres_option(gpus: Gpu, gpu_types: Mapping[str, str], known: Iterable[str] = ()) -> str:
    """The value of ``--gres``; one spelling that all versions take (``--gpus-per-*`` differ).

    Args:
        gpus: What is asked for, per node.
        gpu_types: The target's names for types and profiles.
        known: The GPU types that the cluster has; a MIG profile is looked up among them.

    Raises:
        UnsupportedError: Slurm cannot share a GPU like that, or cannot tell its memory.
    """
    if gpus.memory is not None:
        raise UnsupportedError(
            "gpus.memory: Slurm does not know how much memory a GPU has.",
            next_step="Name a type that has enough, such as gpus='h100:1', or a MIG profile.",
        )
    kind = gpu_types.get(gpus.type, gpus.type) if gpus.type else None
    mode = gpus.mode
    if mode == "time-slice":
        raise UnsupportedError(
            "gpus.sharing: Slurm has no time-slicing.",
            next_step="Use sharing='shard' (or 'mps') where the cluster offers it; `gpujobs capacity` shows it.",
        )
    if mode == "mig":
        return f"gpu:{_mig_type(gpus.profile or '', kind, gpu_types, known)}:{gpus.count}"
    name = mode if mode in {"shard", "mps"} else "gpu"
    return f"{name}:{kind}:{gpus.count}" if kind else f"{name}:{gpus.count}"


def _mig_type(profile: str, kind: str | None, gpu_types: Mapping[str, str], known: Iterable[str]) -> str:
    """The cluster's name of a MIG profile: ``1g.10gb``, or with the model in front: ``h100_1g.10gb``."""
    if profile in gpu_types:
        return gpu_types[profile]
    wanted = f"{kind}_{profile}" if kind else profile
    matches = [t for t in known if t == wanted or (kind is None and t.endswith(f"_{profile}"))]
    return matches[0] if matches else wanted


@dataclass(frozen=True, slots=True)
class Gres:
    """A count of one kind of generic resource."""

    kind: str
    type: str
    count: int


def parse_gres(text: str) -> list[Gres]:
    """``gpu:h100:4(S:0),shard:8(S:0)``, ``gres/gpu:h100=4`` and ``gpu:2(IDX:0-1)``, as all versions print them."""
    found: list[Gres] = []
    for item in _split(text):
        match = _ITEM.match(item)
        if match and match["kind"] not in {"N", "null"}:
            found.append(Gres(match["kind"], match["type"] or "", int(match["count"] or 1)))
    return found


def _split(text: str) -> list[str]:
    """Cut at commas that are not inside brackets (``IDX:0,2``)."""
    items, depth = [""], 0
    for char in text:
        depth += (char in "([") - (char in ")]")
        if char == "," and depth == 0:
            items.append("")
        else:
            items[-1] += char
    return [i for i in (item.strip() for item in items) if i and i != "(null)"]
