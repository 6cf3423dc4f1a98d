"""Names that follow from a key: of the job in Slurm's queue, and of its directory."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.specs import GpuJob, GpuService

_TOKEN = 12
_STEM = 40
_UNSAFE = re.compile(r"[^a-z0-9]+")
_OURS = re.compile(r"[a-z0-9-]{1,40}\.[0-9a-f]{12}")
_LONGEST_COMMENT = 1500


def job_name(spec: GpuJob | GpuService, record: str) -> str:
    """``NAME.TOKEN``: Slurm can be asked for it, whatever the user's name holds. The token follows from the key."""
    return f"{_stem(spec)}.{record.rpartition('-')[2][:_TOKEN]}"


def _stem(spec: GpuJob | GpuService) -> str:
    wish = spec.name or (spec.command[0].rpartition("/")[2] if spec.command else "job")
    return _UNSAFE.sub("-", wish.lower()).strip("-")[:_STEM].strip("-") or "job"


def is_ours(name: str) -> bool:
    """Whether a job's name in the queue was made by :func:`job_name`."""
    return _OURS.fullmatch(name) is not None


def comment(name: str | None, labels: Mapping[str, str], gres: str) -> str:
    """What the queue itself remembers of a job, as ASCII JSON in one line: GPUs, and name and labels where they fit."""
    short = {"gpujobs": 1, "gres": gres}
    text = json.dumps({**short, "name": name, "labels": dict(labels)}, separators=(",", ":"))
    return text if name is not None and len(text) <= _LONGEST_COMMENT else json.dumps(short, separators=(",", ":"))


@lru_cache(maxsize=1024)
def read_comment(text: str) -> Mapping[str, Any] | None:
    """``gres``, and ``name`` and ``labels`` where they are there, of a comment of ours; None for any other."""
    if not text.startswith('{"gpujobs":1,'):
        return None
    try:
        return cast("dict[str, Any]", json.loads(text))
    except ValueError:
        return None
