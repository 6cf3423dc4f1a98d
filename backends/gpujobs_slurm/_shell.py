"""The shell text of a job: who it is, what it sees, what it runs. Every value is quoted."""

from __future__ import annotations

import math
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gpujobs_slurm._containers import container_lines, srun_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujobs.specs import GpuJob
    from gpujobs_slurm._script import Order

_PROFILE = "type module >/dev/null 2>&1 || [ ! -r /etc/profile ] || . /etc/profile"


@cache
def _runtime() -> str:
    return Path(__file__).with_name("runtime.sh").read_text(encoding="utf-8")


def body(order: Order) -> str:
    """Everything below the directives."""
    spec = order.spec
    parts = [
        *_identity(order),
        _runtime(),
        *_launch(order),
        *_ranks(spec),
        *(["# What it runs is in its row.", '. "$gj_dir/rows"'] if order.bulk else workload(order)),
        *container_lines(spec, order.facts),
        'gj_run "$@"',
    ]
    return "\n".join(parts) + "\n"


def _identity(order: Order) -> list[str]:
    spec = order.spec
    return [
        f"gj_dir={shlex.quote(order.path)}",
        f"gj_scheme={shlex.quote(f'slurm://{order.target}')}",
        f"gj_retries={spec.retries}",
        f"gj_grace={math.ceil(spec.grace.total_seconds())}",
        f"gj_keep_output={'yes' if spec.output is not None else ''}",
    ]


def _launch(order: Order) -> list[str]:
    """The batch script claims its key; where there are several tasks, it starts them with this same script."""
    options = srun_options(order.spec, order.facts, order.path)
    if options is None:
        return ["gj_begin", "gj_ranks"]
    again = f'gj_run env gj_in_task=1 srun {shlex.join(options)} /bin/bash "$gj_dir/script"'
    return [
        'if [ -n "${gj_in_task-}" ]; then',
        "  gj_task",
        "else",
        "  gj_begin",
        f"  {_master(order.spec)}",
        f"  {again}",
        "fi",
    ]


def _master(spec: GpuJob) -> str:
    host = "localhost" if spec.nodes == 1 else '$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)'
    return f'export MASTER_ADDR="{host}" MASTER_PORT=$((10000 + SLURM_JOB_ID % 20000))'


def _ranks(spec: GpuJob) -> list[str]:
    lines = [f"export GPUJOBS_NODES={spec.nodes} GPUJOBS_WORLD_SIZE={spec.nodes * spec.tasks_per_node}"]
    if spec.nodes == spec.tasks_per_node == 1:
        lines.append(_master(spec))
    if spec.array is not None:
        lines.append(f'export GPUJOBS_ARRAY_INDEX="$gj_element" GPUJOBS_ARRAY_SIZE={spec.array}')
    return lines


def workload(order: Order) -> list[str]:
    """Variables, secrets, setup and the command of one job."""
    spec = order.spec
    lines = ["# What it sees.", *_sees(order.key, spec, order.inherited, ""), *_checks(spec)]
    if spec.setup:
        lines += ["# Setup.", _PROFILE, *spec.setup]
    return [*lines, "# What it runs.", *_command(spec, "")]


def rows(jobs: Sequence[tuple[str, GpuJob, Mapping[str, str]]]) -> str:
    """The same of many jobs (key, job, inherited variables): one ``case`` by the number of the array's element."""
    checks = _checks(jobs[0][1])  # they look at what all have in common
    lines = ["case $gj_element in"]
    for index, (key, spec, values) in enumerate(jobs):
        lines.append(f"{index})")
        lines += _sees(key, spec, values, f".{index}")
        lines += checks
        if spec.setup:
            lines += [_PROFILE, *spec.setup]
        lines += _command(spec, f".{index}")
        lines.append(";;")
    return "\n".join([*lines, "esac", ""])


def _sees(key: str, spec: GpuJob, values: Mapping[str, str], at: str) -> list[str]:
    """Variables and secrets; ``at`` tells the files of a bulk's elements apart."""
    lines = [f"export GPUJOBS_KEY={shlex.quote(key)}"]
    if spec.files:
        lines.append(f'export GPUJOBS_FILES="$gj_dir/files{at}"')
    if values:
        lines += _inherited(values)
    lines += [f"export {name}={shlex.quote(value)}" for name, value in spec.env.items()]
    if spec.secrets:
        lines += [f"# {s.name}=<secret {s.name}>" for s in spec.secrets] + [f'. "$gj_dir/secrets{at}"']
    return lines


def _inherited(values: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    for name, value in values.items():
        quoted = shlex.quote(value)
        lines.append(f"export {name}={quoted}")
        if name in {"VIRTUAL_ENV", "CONDA_PREFIX"}:
            lines.append(
                f'if [ -d {quoted}/bin ]; then PATH={quoted}/bin:$PATH; else gj_say "the environment "{quoted}'
                '" is not on this node"; fi'
            )
    return lines


def _checks(spec: GpuJob) -> list[str]:
    """What would otherwise fail later and less plainly."""
    lines = [
        f'[ -e {shlex.quote(v.host)} ] || gj_say "there is no "{shlex.quote(v.host)}" on this node (volumes)"'
        for v in spec.volumes
        if v.host is not None
    ]
    if spec.shm is not None:
        lines.append(
            f'[ "$(($(df -Pk /dev/shm | tail -n 1 | tr -s " " | cut -d" " -f2) * 1024))" -ge {spec.shm} ] || '
            f'gj_say "/dev/shm of this node is smaller than the {spec.shm} bytes asked for (shm)"'
        )
    return lines


def _command(spec: GpuJob, at: str) -> list[str]:
    if spec.script is None:
        return ["set -- " + " ".join(map(shlex.quote, (*spec.command, *spec.args)))]
    args = shlex.join(spec.args)
    return [f'set -- {shlex.join(interpreter(spec.script))} "$gj_dir/command{at}" {args}'.rstrip()]


def interpreter(script: str) -> list[str]:
    """What runs a script: the program of its ``#!`` line with at most one word, as the kernel reads it, else sh."""
    first = script.split("\n", 1)[0]
    if not first.startswith("#!"):
        return ["/bin/sh"]
    return first[2:].strip().split(None, 1) or ["/bin/sh"]
