"""What this machine could never run, said before anything is sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gpujobs.errors import PreflightError
from gpujobs.units import format_memory
from gpujobs_local import _cgroup
from gpujobs_local._match import Demand, eligible
from gpujobs_local._private import LONGEST

if TYPE_CHECKING:
    from gpujobs.backend import Target
    from gpujobs.specs import GpuJob
    from gpujobs_local._gpus import Device
    from gpujobs_local._match import Machine

_ROOM = 4096
_SHM = "/dev/shm"  # noqa: S108  # its size, nothing is put there


def check(spec: GpuJob, demand: Demand, machine: Machine, target: Target) -> PreflightError | None:
    """None, or why this machine could never run it and what it could run."""
    return (
        _check_gpus(demand, machine, target)
        or _check_amounts(spec, machine)
        or _check_words(spec)
        or _check_workdir(spec)
    )


def _check_gpus(demand: Demand, machine: Machine, target: Target) -> PreflightError | None:
    if not demand.count:
        return None
    there = [d for d in machine.devices if not d.mig_parent]
    if not there:
        return PreflightError(
            f"gpus: {demand.count} are asked for, but no GPU was found on this machine.",
            next_step=f"Leave gpus out; or check that nvidia-smi works; or set `gpus = N` in [targets.{target.name}] "
            "to pretend.",
        )
    if demand.sharing == "shard" and demand.count > machine.shares:
        return PreflightError(
            f"gpus: {demand.count} shards are asked for, but a GPU has {machine.shares} here.",
            next_step=f"Ask for at most {machine.shares}, or set `shares` in [targets.{target.name}].",
        )
    fitting = eligible(there, demand, machine.memory)
    if len(fitting) >= demand.gpus:
        return None
    return PreflightError(
        f"gpus: {demand.gpus}{_kind(demand)} are asked for, but this machine has {len(fitting)}.",
        next_step=f"There {'is' if len(there) == 1 else 'are'}: {_inventory(there)}"
        + (f"; visible to this process: {len(demand.visible)}." if demand.visible is not None else "."),
    )


def _kind(demand: Demand) -> str:
    words = [*demand.types]
    if demand.profile:
        words.append(f"MIG {demand.profile}")
    if demand.memory:
        words.append(f"with {format_memory(demand.memory)}")
    return f" ({' '.join(words)})" if words else ""


def _inventory(devices: list[Device]) -> str:
    counts: dict[str, int] = {}
    for device in devices:
        memory = f", {format_memory(device.memory)}" if device.memory else ""
        profile = f", MIG {device.profile}" if device.profile else ""
        name = f"{device.name}{profile}{memory}"
        counts[name] = counts.get(name, 0) + 1
    return "; ".join(f"{n} x {name}" for name, n in counts.items())


def _check_amounts(spec: GpuJob, machine: Machine) -> PreflightError | None:
    if spec.cpus is not None and spec.cpus > machine.cpus:
        return PreflightError(
            f"cpus: {spec.cpus:g} are asked for, but this machine has {machine.cpus:g}.",
            next_step=f"Ask for at most {machine.cpus:g}.",
        )
    if spec.memory is not None and spec.memory > machine.memory:
        return _too_much("memory", spec.memory, machine.memory, "this machine has")
    if spec.memory is not None and not _cgroup.permitted():
        return PreflightError(
            "memory: it cannot be limited here: this user may make no control group with the memory controller.",
            next_step="Leave memory out; or run as root, or under `systemd-run --user --scope -p Delegate=yes`.",
        )
    if spec.shm is not None and (there := _size(_SHM, free=False)) < spec.shm:
        return _too_much("shm", spec.shm, there, f"{_SHM} has")
    if spec.disk is not None and (there := _size(str(Path.cwd()), free=True)) < spec.disk:
        return _too_much("disk", spec.disk, there, "free here are")
    return None


def _too_much(field: str, wanted: int, there: int, where: str) -> PreflightError:
    return PreflightError(
        f"{field}: {format_memory(wanted)} are asked for, but {where} {there // 2**20}MiB.",
        next_step=f"Ask for at most {there // 2**20}MiB.",
    )


def _size(path: str, *, free: bool) -> int:
    try:
        stat = os.statvfs(path)
    except OSError:
        return 0
    return stat.f_frsize * (stat.f_bavail if free else stat.f_blocks)


def _check_words(spec: GpuJob) -> PreflightError | None:
    """What execve(2) refuses: one string of 128 KiB or more, or too much of them together."""
    setup = "\n".join(spec.setup)
    words = [("command", w) for w in (*spec.command, *spec.args)] + [("setup", setup)]
    words += [(f"env {name}", f"{name}={value}") for name, value in spec.env.items()]
    sizes = [(where, len(word.encode())) for where, word in words]
    longest = max(sizes, key=lambda s: s[1])
    if longest[1] > LONGEST:
        return PreflightError(
            f"{longest[0]}: a text of {longest[1]} bytes is more than the {LONGEST} that Linux passes to a "
            "program in one argument or variable.",
            next_step='Put it into files={"name": ...} and read "$GPUJOBS_FILES/name".',
        )
    most = os.sysconf("SC_ARG_MAX") - _ROOM
    total = sum(size + 9 for _, size in sizes)
    if total > most:
        return PreflightError(
            f"command, args and env: {total} bytes in all are more than the {most} that Linux passes to a program.",
            next_step="Put the bulk of it into files={...}.",
        )
    return None


def _check_workdir(spec: GpuJob) -> PreflightError | None:
    # Those of Path raise where ~ names nobody or a name is too long.
    if spec.workdir is None or os.path.isdir(os.path.expanduser(spec.workdir)):  # noqa: PTH111, PTH112
        return None
    return PreflightError(
        f"workdir: {spec.workdir!r} is no directory of this machine.", next_step="Make it, or correct the path."
    )
