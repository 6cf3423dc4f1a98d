"""``Gpu``: what a workload asks for, per node."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import WithJsonSchema, model_validator

from gpujobs._model import MOST, Count, Model, Text, like
from gpujobs.units import Memory

__all__ = ["Gpu", "Sharing"]

Sharing = Literal["exclusive", "time-slice", "mig", "mps", "shard"]

_MIG = re.compile(r"\d+g\.\d+gb(?:\+me(?:\.all)?|\.me|-me)?", re.ASCII)
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_TEXT = rf"^\s*(?!0+\s*$)({_TYPE.pattern}|{_MIG.pattern})(:(?!0+\s*$)\d+)?\s*$"
_FORMS = "a count (1), a type ('h100'), 'TYPE:COUNT' ('h100:2'), a MIG profile ('1g.10gb' or '1g.10gb:2') or a Gpu"


class Gpu(Model):
    """GPUs per node (on Kubernetes: per pod).

    Attributes:
        count: How many; with ``shard`` the number of shards, with ``mps`` the percentage of one GPU, as Slurm counts.
        type: The kind, as the cluster names it or as ``[targets.x.gpu_types]`` maps it: ``h100``.
        memory: The least memory of one GPU, in bytes.
        sharing: None takes whatever the node's GPU unit is; ``exclusive`` excludes nodes that share, ``time-slice``
            requires one that does. On time-sliced GPUs memory is not isolated.
        profile: The MIG profile, ``1g.10gb``; implies ``sharing="mig"``.
    """

    # None at all is 0 in the field of a workload.
    _shorthand = ({"type": "integer", "minimum": 0, "maximum": MOST}, like(_TEXT))

    count: Count = 1
    type: Annotated[Text, WithJsonSchema(like(f"^{_TYPE.pattern}$"))] | None = None
    memory: Memory | None = None
    sharing: Sharing | None = None
    profile: Annotated[Text, WithJsonSchema(like(f"^{_MIG.pattern}$"))] | None = None

    # The first field goes by position, which pydantic alone does not offer; None means not given.
    def __init__(
        self,
        count: int | str | None = None,
        *,
        type: str | None = None,  # noqa: A002  # the field's name
        memory: int | str | None = None,
        sharing: Sharing | None = None,
        profile: str | None = None,
        **unknown: Any,
    ) -> None:
        given = {"count": count, "type": type, "memory": memory, "sharing": sharing, "profile": profile}
        super().__init__(**{k: v for k, v in given.items() if v is not None}, **unknown)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"count": value}
        if isinstance(value, str):
            return _parse(value)
        return value

    @model_validator(mode="after")
    def _check(self) -> Gpu:
        if self.type is not None and not _TYPE.fullmatch(self.type):
            raise ValueError(f"type {self.type!r} is not a GPU type: letters, digits, '.', '_' and '-'")
        if self.profile is not None and not _MIG.fullmatch(self.profile):
            raise ValueError(f"profile {self.profile!r} is not a MIG profile such as '1g.10gb'")
        if self.profile is not None and self.sharing not in {None, "mig"}:
            raise ValueError(f"profile {self.profile!r} is a MIG profile, but sharing is {self.sharing!r}: drop one")
        if self.sharing == "mig" and self.profile is None:
            raise ValueError("sharing 'mig' needs a profile, such as profile='1g.10gb'")
        return self

    @property
    def mode(self) -> Sharing | None:
        """How the GPU may be shared; a MIG profile implies ``mig``."""
        return "mig" if self.profile else self.sharing


def _parse(text: str) -> dict[str, Any]:
    kind, colon, number = text.strip().rpartition(":")
    if not colon:
        kind, number = number, ""
    if not colon and kind.isascii() and kind.isdigit():
        return {"count": int(kind)}
    count = {"count": int(number)} if number.isascii() and number.isdigit() else {}
    if (colon and not count) or not (_TYPE.fullmatch(kind) or _MIG.fullmatch(kind)):
        raise ValueError(f"{text!r} does not name GPUs: give {_FORMS}")
    return {"profile" if _MIG.fullmatch(kind) else "type": kind, **count}
