"""What speaks against a cluster on these machines, and what will be less than asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.slurm.conf import containment, memory_mib
from gpujobs.bootstrap.slurm.probes import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpujobs.bootstrap.slurm.probes import SlurmFacts
    from gpujobs.bootstrap.slurm.wish import SlurmWish

_LEAST_DISK_MIB = 2048
_LEAST_MEMORY_MIB = 512
# munge refuses what is older than five minutes; two machines may each be off in their own direction.
_MOST_CLOCK_S = 120


def refuse(wish: SlurmWish, cluster: Mapping[str, SlurmFacts]) -> None:
    """Refuse what cannot work, all of it in one message, before anything is changed.

    Raises:
        RefusedError: With every objection and what to do about the first.
    """
    objections = [*_of_cluster(cluster)]
    for name, facts in cluster.items():
        objections += [(f"{name}: {what}", advice) for what, advice in _of_machine(wish, name, facts)]
    if objections:
        raise RefusedError("; ".join(what for what, _ in objections), next_step=objections[0][1])


def warnings(wish: SlurmWish, cluster: Mapping[str, SlurmFacts]) -> tuple[str, ...]:
    """What works, but less well than one may think."""
    found: list[str] = []
    for name in wish.workers:
        facts = cluster[name]
        if containment(facts) == "none":
            found.append(
                f"{name}: Slurm {facts.version} cannot use control groups here ({facts.machine.cgroups}), so a job can "
                "use GPUs, memory and cores that it was not given."
            )
        if facts.machine.unified_memory:
            found.append(
                f"{name}: the GPU takes its memory from the system's; {memory_mib(wish, facts)} MiB are for jobs and "
                "their GPU memory together, and no limit of a job bounds what it takes through the GPU."
            )
    bare = [name for name, facts in cluster.items() if not facts.machine.systemd]
    if bare:
        found.append(
            f"{', '.join(bare)}: there is no systemd, so nothing starts Slurm again after a reboot: run apply then."
        )
    return tuple(found)


def _of_cluster(cluster: Mapping[str, SlurmFacts]) -> Iterator[tuple[str, str]]:
    names = [facts.machine.hostname for facts in cluster.values()]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        yield (
            f"several machines call themselves {', '.join(doubled)}",
            "Give each machine a host name of its own: hostnamectl set-hostname NAME.",
        )
    releases = {facts.release for facts in cluster.values()}
    if len(releases) > 1:
        listed = ", ".join(f"{facts.version} on {name}" for name, facts in cluster.items())
        yield f"the machines have different Slurms ({listed})", "Use the same distribution on all of them."


def _of_machine(wish: SlurmWish, name: str, facts: SlurmFacts) -> Iterator[tuple[str, str]]:
    machine = facts.machine
    if (machine.os_id, machine.os_version) not in RELEASES:
        yield f"{machine.os_name} is not set up by this", "Use Debian 12 or 13, or Ubuntu 22.04 or 24.04."
    if not machine.root:
        yield "this needs root", "Run it with sudo, with --sudo, or with --host root@HOST."
    if machine.disk_free_mib < _LEAST_DISK_MIB:
        yield f"/var has {machine.disk_free_mib} MiB free, {_LEAST_DISK_MIB} are needed", "Make room below /var."
    if name in wish.workers and memory_mib(wish, facts) < _LEAST_MEMORY_MIB:
        yield (
            f"of {machine.memory_mib} MiB of memory nothing would be left for jobs",
            "Give a smaller --memory-reserve, or use a larger machine.",
        )
    if abs(machine.clock_offset_s) > _MOST_CLOCK_S:
        yield (
            f"its clock is off by {machine.clock_offset_s:g} s, and munge will not trust it",
            "Set the clock: timedatectl set-ntp true.",
        )
    if wish.source and facts.source_missing:
        yield f"there is no slurmd package in {wish.source}", "Copy the .deb files of Slurm there, on every machine."
    if not wish.adopt:
        yield from _of_owner(facts)
    if name in wish.workers:
        yield from _of_gpus(wish, facts)


def _of_owner(facts: SlurmFacts) -> Iterator[tuple[str, str]]:
    advice = "Read them; with --adopt they are kept aside, replaced, and put back by undo."
    if facts.foreign_files:
        yield f"somebody else wrote {' and '.join(facts.foreign_files)}", advice
    if facts.foreign_daemons:
        one = len(facts.foreign_daemons) == 1
        run, them = ("runs", "it") if one else ("run", "them")
        yield f"{' and '.join(facts.foreign_daemons)} {run}, and no bootstrap of gpujobs started {them}", advice


def _of_gpus(wish: SlurmWish, facts: SlurmFacts) -> Iterator[tuple[str, str]]:
    machine = facts.machine
    if wish.autodetect == "nvidia" and facts.release < (24, 11):
        yield (
            f"Slurm {facts.version} cannot detect GPUs by itself",
            "Leave --autodetect off: the device files are then named one by one, which always works.",
        )
    if wish.gpus_required and not machine.gpu_files:
        yield _without_gpu(facts)
    elif len(machine.gpus) != len(machine.gpu_files):
        yield (
            f"nvidia-smi lists {len(machine.gpus)} GPUs and /dev has {len(machine.gpu_files)} device files",
            "Run nvidia-smi on it and mend the driver first.",
        )


def _without_gpu(facts: SlurmFacts) -> tuple[str, str]:
    machine = facts.machine
    if machine.nvidia_cards:
        trouble = machine.driver_trouble or "no /dev/nvidia0"
        return (
            f"it has {machine.nvidia_cards} NVIDIA GPUs and no driver at work ({trouble})",
            "Install the driver, or load it: modprobe nvidia; then nvidia-smi must list the GPUs.",
        )
    return "it has no NVIDIA GPU", "Name machines with GPUs, or allow nodes without by --no-gpus-required."
