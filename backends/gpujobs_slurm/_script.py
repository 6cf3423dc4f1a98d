"""A workload as an sbatch script: pure, and the same bytes for the same workload, facts and key."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpujobs_slurm._gres import gres_option
from gpujobs_slurm._names import comment, job_name
from gpujobs_slurm._refuse import extra_lines
from gpujobs_slurm._shell import body
from gpujobs_slurm.remote.bulks import ranges

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from gpujobs.specs import GpuJob
    from gpujobs_slurm._facts import Facts

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:/=@%+-[]*&|()!~")
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Order:
    """All that a script follows from.

    Attributes:
        spec: The job; of a bulk, its first one: all ask for the same.
        record: The name of the job directory; ``root`` is what it lies in.
        indices: The elements of a bulk that are to run; empty for a single job and for an array of its own.
        dependency: The value of ``--dependency``.
        hold: Send it held, because what it waits for can never come.
        directory: Where Slurm starts it when the job does not say.
        inherited: The values of ``inherit_env``.
    """

    spec: GpuJob
    key: str
    record: str
    root: str
    target: str
    facts: Facts
    gpu_types: Mapping[str, str] = field(default_factory=dict[str, str])
    indices: tuple[int, ...] = ()
    bulk: bool = False
    dependency: str = ""
    hold: bool = False
    directory: str = ""
    inherited: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def path(self) -> str:
        """The job directory."""
        return f"{self.root}/{self.record}"


def render_script(order: Order) -> str:
    """The script that sbatch reads.

    Raises:
        UnsupportedError: A field that Slurm cannot honour.
    """
    lines = ["#!/bin/bash"]
    lines += [f"#SBATCH --{name}={quote(value)}" if value else f"#SBATCH --{name}" for name, value in _options(order)]
    lines += [f"#SBATCH {line}" for line in extra_lines(order.spec)]
    return "\n".join(lines) + "\n\n" + body(order)


def quote(value: str) -> str:
    r"""A value for a directive: between double quotes sbatch takes ``\`` and ``"`` escaped, and all else as it is."""
    if value and set(value) <= _SAFE:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _options(order: Order) -> list[tuple[str, str]]:
    """Options in the order a person reads them: who, where, how much, how long, how."""
    spec = order.spec
    gres = gres_option(spec.gpus, order.gpu_types, order.facts.gpu_types) if spec.gpus else ""
    note = comment(None if order.bulk else spec.name or "", spec.labels, gres)
    wanted: list[tuple[str, str | None]] = [
        ("job-name", job_name(spec, order.record)),
        ("comment", note),
        ("partition", spec.queue),
        ("account", spec.account),
        ("qos", spec.qos if not isinstance(spec.priority, str) else spec.priority),
        ("nice", str(-spec.priority) if isinstance(spec.priority, int) and spec.priority else None),
        *_resources(spec, gres),
        *_times(spec),
        ("array", _array(order)),
        ("dependency", order.dependency or None),
        ("kill-on-invalid-dep", "yes" if order.dependency else None),
        *_handling(order),
    ]
    return [(name, value) for name, value in wanted if value is not None]


def _resources(spec: GpuJob, gres: str) -> list[tuple[str, str | None]]:
    return [
        ("nodes", str(spec.nodes)),
        ("ntasks-per-node", str(spec.tasks_per_node)),
        ("cpus-per-task", str(math.ceil(spec.cpus / spec.tasks_per_node)) if spec.cpus else None),
        ("mem", f"{-(-spec.memory // _MIB)}M" if spec.memory else None),
        ("tmp", f"{-(-spec.disk // _MIB)}M" if spec.disk else None),
        ("gres", gres or None),
        ("constraint", spec.constraint),
        ("exclude", ",".join(spec.exclude) or None),
    ]


def _times(spec: GpuJob) -> list[tuple[str, str | None]]:
    """Slurm ends a job at once whose deadline leaves no room for its time, so a deadline brings both of these."""
    limit = spec.time_limit or spec.deadline
    return [
        ("time", str(minutes(limit)) if limit else None),
        ("time-min", "1" if spec.deadline else None),
        ("deadline", f"now+{math.ceil(spec.deadline.total_seconds())}" if spec.deadline else None),
    ]


def minutes(limit: timedelta) -> int:
    """Slurm counts whole minutes; it is rounded up, as Slurm does."""
    return max(1, math.ceil(limit.total_seconds() / 60))


def _array(order: Order) -> str | None:
    if order.bulk:
        return ranges(order.indices)
    spec = order.spec
    if spec.array is None:
        return None
    return f"0-{spec.array - 1}" + (f"%{spec.parallelism}" if spec.parallelism else "")


def _handling(order: Order) -> list[tuple[str, str | None]]:
    spec = order.spec
    again = True if spec.retries else spec.requeue
    own = f"{order.path.replace('%', '%%')}/slurm" + (".%a" if order.bulk or spec.array is not None else "") + ".out"
    return [
        ("requeue" if again else "no-requeue", None if again is None else ""),
        ("hold", "" if order.hold else None),
        ("chdir", spec.workdir or order.directory or None),
        ("output", spec.output or own),
        ("error", spec.error),
        ("open-mode", "append"),
    ]
