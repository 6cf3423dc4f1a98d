"""From a workload to its plan: everything that a supervisor needs to know, as JSON. Pure.

The plan is what ``render`` shows and what is stored. Values of secrets and of inherited variables are not in it, nor
contents of files.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from gpujobs.refs import Ref
from gpujobs_local._match import Demand
from gpujobs_local._refuse import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from gpujobs.backend import Submission, Target
    from gpujobs.gpu import Gpu
    from gpujobs.specs import GpuJob


def plan(item: Submission, target: Target) -> dict[str, Any]:
    """The plan of one submission; what is not set is left out.

    Raises:
        UnsupportedError: A field that the local backend cannot honour.
    """
    refuse(item.spec, target=target.name)
    spec: GpuJob = item.spec  # type: ignore[assignment]  # refuse() lets only jobs through
    full: dict[str, Any] = {
        "name": spec.name,
        "key": item.key,
        "command": [*spec.command, *spec.args] if spec.script is None else None,
        "script": spec.script,
        "args": list(spec.args) if spec.script is not None else None,
        "setup": list(spec.setup),
        "workdir": spec.workdir,
        "env": dict(spec.env),
        "inherit_env": list(spec.inherit_env),
        "secrets": {s.name: f"<secret {s.name}>" for s in spec.secrets},
        "files": {path: _digest(content) for path, content in spec.files.items()},
        "labels": dict(spec.labels),
        "gpus": demand(spec.gpus, target.gpu_types).to_dict(),
        "cpus": spec.cpus,
        "memory": spec.memory,
        "tasks_per_node": spec.tasks_per_node,
        "array": spec.array,
        "parallelism": spec.parallelism,
        "priority": spec.priority,
        "after": [{"id": Ref.parse(a.ref).id, "when": a.when} for a in spec.after],
        "time_limit": _seconds(spec.time_limit),
        "deadline": _seconds(spec.deadline),
        "start_timeout": _seconds(spec.start_timeout),
        "grace": _seconds(spec.grace),
        "retries": spec.retries,
        "requeue": spec.requeue,
        "output": spec.output,
        "error": spec.error,
    }
    return {k: v for k, v in full.items() if v not in (None, [], {})}


def text(plan: Mapping[str, Any]) -> str:
    """The plan as it is shown and stored."""
    return json.dumps(plan, indent=2, ensure_ascii=False) + "\n"


def demand(gpus: Gpu | None, gpu_types: Mapping[str, str]) -> Demand:
    """The GPUs of one task, types under the machine's own names."""
    if gpus is None:
        return Demand()
    types = (gpu_types.get(gpus.type, gpus.type),) if gpus.type is not None else ()
    return Demand(gpus.count, types, gpus.memory, gpus.mode, gpus.profile)


def _digest(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
