"""What is wrong with a Slurm cluster, why, and what mends it: a pure function of the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.doctor import Trouble
from gpujobs.bootstrap.slurm.evidence import start_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.bootstrap.slurm.evidence import ClusterState, MachineState, NodeState

_CLOCK_S = 120
_APPLY = "Run `gpujobs bootstrap slurm apply`: it writes the files anew and starts what has to read them."
# Slurm drains for these by itself; once the cause is gone, nobody takes it back.
_PASSED = ("not responding", "node unexpectedly rebooted", "kill task failed", "prolog error", "epilog error")

# Slurm takes a node back only after its slurmd has registered anew, which takes a moment.
_RESUME = """
for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1; scontrol update nodename="$1" state=resume && exit 0; done 2>/dev/null
exit 1
"""


def diagnose(cluster: ClusterState) -> list[Trouble]:
    """Everything that is wrong, the causes before their effects."""
    troubles = [trouble for machine in cluster.machines for trouble in _of_machine(machine)]
    troubles += _of_configuration(cluster)
    if not cluster.answers:
        return [*troubles, *_silent(cluster)]
    return troubles + [trouble for node in cluster.nodes for trouble in _of_node(cluster, node)]


def _of_machine(machine: MachineState) -> Iterator[Trouble]:
    if "munged" not in machine.daemons:
        yield Trouble(
            machine.host,
            f"munge does not run on {machine.hostname}",
            "Without it no part of Slurm there believes another.",
            (start_command(machine, "munged"),),
            safe=True,
        )
    elif abs(machine.clock_offset_s) > _CLOCK_S:
        yield Trouble(
            machine.host,
            f"the clock of {machine.hostname} is off by {machine.clock_offset_s:g} s",
            "munge refuses what is older than five minutes, or from the future.",
            (("timedatectl", "set-ntp", "true"),),
            advice="Set the clock; jobs that look at it will see it jump.",
        )
    elif not machine.trusts_controller:
        yield Trouble(
            machine.host,
            f"{machine.hostname} does not believe the controller",
            f"unmunge says: {machine.munge_says or 'nothing'}. Mostly /etc/munge/munge.key differs.",
            advice=_APPLY,
        )


def _of_configuration(cluster: ClusterState) -> Iterator[Trouble]:
    settings, host = cluster.settings, cluster.controller.host
    if any(node.gpus for node in cluster.nodes) and "gpu" not in settings.get("grestypes", "").split(","):
        yield Trouble(
            host,
            "slurm.conf names GPUs on nodes and has no GresTypes=gpu",
            "Slurm then hands out no GPU: a job that asks for one is refused.",
            advice="Add the line GresTypes=gpu to slurm.conf on every machine and restart slurmctld and slurmd.",
        )
    if settings and "memory" not in settings.get("selecttypeparameters", "").lower():
        yield Trouble(
            host,
            "Slurm does not hand out memory (SelectTypeParameters has no _Memory)",
            "Jobs that together need more than there is are started side by side, and some are killed.",
            advice="Use SelectType=select/cons_tres with SelectTypeParameters=CR_Core_Memory.",
        )
    if len({machine.digest for machine in cluster.machines}) > 1:
        yield Trouble(host, "the machines have different slurm.conf or gres.conf files", "", advice=_APPLY)
    for machine in cluster.machines:
        yield from _of_cgroups(cluster, machine)


def _of_cgroups(cluster: ClusterState, machine: MachineState) -> Iterator[Trouble]:
    text = machine.cgroup_conf.lower().replace(" ", "")
    confined = "cgroup" in cluster.settings.get("taskplugin", "") and "constraindevices=yes" in text
    if machine.gpu_files and not confined:
        yield Trouble(
            machine.host,
            f"jobs on {machine.hostname} can use GPUs they were not given",
            "There is no TaskPlugin=task/cgroup, or no ConstrainDevices=yes in cgroup.conf.",
            advice=_APPLY,
        )
    if "cgroupautomount" in text and cluster.version >= (23, 11):
        yield Trouble(
            machine.host,
            f"cgroup.conf on {machine.hostname} has CgroupAutomount, which Slurm no longer knows",
            "From 23.11 on a daemon that reads it ends.",
            (("sed", "-i", "/^[[:space:]]*CgroupAutomount/Id", "/etc/slurm/cgroup.conf"),),
            advice="Remove the line, and restart slurmd.",
        )


def _silent(cluster: ClusterState) -> Iterator[Trouble]:
    machine = cluster.controller
    if "slurmctld" not in machine.daemons:
        yield Trouble(
            machine.host,
            f"slurmctld does not run on {machine.hostname}",
            f"scontrol ping says: {cluster.ping or 'nothing'}",
            (start_command(machine, "slurmctld"),),
            safe=True,
            advice="If it ends again at once, its reason is at the end of /var/log/slurm/slurmctld.log.",
        )
    else:
        yield Trouble(
            machine.host,
            f"slurmctld runs on {machine.hostname} and does not answer",
            f"scontrol ping says: {cluster.ping or 'nothing'}",
            advice="Read the end of /var/log/slurm/slurmctld.log; restart it only if it hangs: no job is lost by that.",
        )


def _of_node(cluster: ClusterState, node: NodeState) -> Iterator[Trouble]:
    machine = cluster.machine_of(node.name)
    if machine is not None and "slurmd" not in machine.daemons and machine.gpu_files < node.gpus:
        # slurmd ends itself at a device file that is not there: starting it again would not help.
        yield Trouble(
            machine.host,
            f"slurmd does not run on {node.name}, and /dev has {machine.gpu_files} of the {node.gpus} GPUs it should",
            "slurmd ends itself where a GPU's device file is missing.",
            advice=f"Run nvidia-smi there: load the driver, or mend the GPU. If fewer GPUs are right now: {_APPLY}",
        )
    elif machine is not None and "slurmd" not in machine.daemons:
        yield Trouble(
            machine.host,
            f"slurmd does not run on {node.name}",
            "The node takes no jobs, and slurmctld will call it down.",
            (start_command(machine, "slurmd"),),
            safe=True,
        )
    elif "INVALID_REG" in node.states or "gres/gpu count" in node.reason:
        yield _unregistered(cluster, node, machine)
    elif node.states & {"DOWN", "NO_ANSWER", "DRAIN", "FAIL"}:
        yield _out_of_service(cluster, node)


def _unregistered(cluster: ClusterState, node: NodeState, machine: MachineState | None) -> Trouble:
    resume = ("sh", "-c", _RESUME, "resume", node.name)
    what = f"{node.name} does not have what slurm.conf says (INVALID_REG)"
    if machine is None or machine.gpu_files != node.gpus:
        found = "" if machine is None else f", and /dev has {machine.gpu_files} of {node.gpus} GPUs"
        return Trouble(
            cluster.controller.host,
            what,
            node.reason + found,
            advice="Run nvidia-smi there: load the driver, or mend the GPU. If fewer GPUs are right now: " + _APPLY,
        )
    # Its GPUs are back: slurmd has to count them again, and has to be where it runs.
    restart = _restart_slurmd(machine)
    if machine.host == cluster.controller.host:
        return Trouble(machine.host, what, node.reason, (restart, resume), safe=True)
    return Trouble(
        machine.host,
        what,
        node.reason,
        (restart,),
        safe=True,
        advice=f"Then: scontrol update nodename={node.name} state=resume",
    )


def _restart_slurmd(machine: MachineState) -> tuple[str, ...]:
    if machine.systemd:
        return ("systemctl", "restart", "slurmd")
    # Its jobs go on without it, and find it again.
    return ("sh", "-c", 'kill "$(cat /run/slurmd.pid)"; while pgrep -x slurmd >/dev/null; do sleep 0.1; done; slurmd')


def _out_of_service(cluster: ClusterState, node: NodeState) -> Trouble:
    reason = node.reason.lower()
    passed = any(word in reason for word in _PASSED)
    state = "drained" if "DRAIN" in node.states else "down"
    if "NO_ANSWER" in node.states:
        return Trouble(
            cluster.controller.host,
            f"{node.name} does not answer",
            node.reason or "slurmctld cannot reach its slurmd.",
            advice=f"Look whether {node.name} is up, whether slurmd runs there, and whether port 6818 is open.",
        )
    if "low realmemory" in reason:
        return Trouble(cluster.controller.host, f"{node.name} is {state}: it has less memory than slurm.conf says",
                       node.reason, advice=_APPLY)  # fmt: skip
    by = f" by {node.author}" if node.author else ""
    return Trouble(
        cluster.controller.host,
        f"{node.name} is {state}{by}",
        node.reason or "No reason was given.",
        (("scontrol", "update", f"nodename={node.name}", "state=resume"),),
        safe=passed,
        advice="" if passed else "Somebody took it out of service on purpose: ask first, then resume it.",
    )
