"""The steps to a cluster, as a pure function of the wish and the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.slurm import conf
from gpujobs.bootstrap.slurm.accounting import accounting_steps
from gpujobs.bootstrap.slurm.daemons import MUNGE, slurmctld, slurmd
from gpujobs.bootstrap.slurm.rest import rest_steps
from gpujobs.bootstrap.steps import Command, CopiedFile, Directory, File, Packages, SecretFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.slurm.probes import SlurmFacts
    from gpujobs.bootstrap.slurm.wish import SlurmWish
    from gpujobs.bootstrap.step import Step

MUNGE_KEY = "/etc/munge/munge.key"

# A node that does not answer shows a star; one that was drained by somebody stays so: that is a decision, no fault.
_REGISTERED = r"""
s=$(sinfo -h -N -o '%N %T') && [ -n "$s" ] || { echo 'slurmctld knows no nodes'; exit 1; }
bad=$(echo "$s" | grep -E '\*|unknown|down|inval|future|fail' | sort -u | tr '\n' ' ')
[ -z "$bad" ] || { echo "$bad"; exit 1; }
"""
# A node that once had too few GPUs stays out after it was mended, until somebody says so; a node that was
# drained for another reason stays out.
_REJOIN = r"""
sleep 2
p='^NodeName=[^ ]* .*(INVALID_REG|Reason=gres/gpu count)'
scontrol -o show nodes | grep -E "$p" | sed 's/^NodeName=\([^ ]*\) .*/\1/' | while read -r n; do
  i=0
  until scontrol update nodename="$n" state=resume 2>/dev/null || [ $((i += 1)) -gt 20 ]; do sleep 0.5; done
done
"""


def slurm_steps(wish: SlurmWish, cluster: Mapping[str, SlurmFacts], shells: Mapping[str, Shell]) -> tuple[Step, ...]:
    """Everything that is to be there, in the order in which it has to come.

    Args:
        wish: What the user wants.
        cluster: What was found, by the names of ``wish.machines``.
        shells: How each machine is reached; only the controller's is used, to carry its key to the others.
    """
    steps: list[Step] = []
    for name in wish.machines:
        steps += _before(wish, name, cluster[name])
        steps += _installed(wish, name, shells[wish.controller])
    for name in wish.machines:
        steps += _configured(wish, name, cluster)
    controller = cluster[wish.controller]
    if wish.accounting:
        steps += accounting_steps(wish, controller)
    steps.append(slurmctld(wish).service(wish.controller, systemd=controller.machine.systemd))
    steps += [slurmd(cluster[name]).service(name, systemd=cluster[name].machine.systemd) for name in wish.workers]
    if wish.rest:
        steps += rest_steps(wish, controller)
    steps.append(_nodes_in_service(wish))
    return tuple(steps)


def _before(wish: SlurmWish, name: str, facts: SlurmFacts) -> list[Step]:
    daemons = [MUNGE]
    daemons += [slurmctld(wish)] if name == wish.controller else []
    daemons += [slurmd(facts)] if name in wish.workers else []
    return [daemon.before(name, systemd=facts.machine.systemd) for daemon in daemons]


def _installed(wish: SlurmWish, name: str, controller: Shell) -> list[Step]:
    packages = ["munge", "slurm-client"]
    packages += ["slurmctld"] if name == wish.controller else []
    packages += ["slurmd"] if name in wish.workers else []
    key: Step = (
        SecretFile(name, "Have a munge key", MUNGE_KEY, 128, 0o400, "munge:munge")
        if name == wish.controller
        else CopiedFile(name, "Have the controller's munge key", MUNGE_KEY, controller, 0o400, "munge:munge")
    )
    # Every daemon loads what slurm.conf names as another way to prove who one is.
    tokens = Packages(name, "Install the plug-in for tokens", ("slurm-wlm-jwt-plugin",), source=wish.source)
    return [
        Packages(
            name,
            "Install Slurm and munge",
            tuple(sorted(packages)),
            source=wish.source,
            accounts=("munge", "slurm"),
            directories=("/etc/slurm", "/etc/munge", "/var/lib/slurm", "/var/log/slurm"),
        ),
        *([tokens] if wish.rest else []),
        key,
    ]


def _configured(wish: SlurmWish, name: str, cluster: Mapping[str, SlurmFacts]) -> list[Step]:
    facts = cluster[name]
    steps: list[Step] = [MUNGE.service(name, systemd=facts.machine.systemd)]
    if name == wish.controller:
        steps.append(
            Directory(
                name,
                "Make the directory of slurmctld's state",
                wish.state_directory,
                0o700,
                "slurm:slurm",
                contents="keep",
                keep_why="it holds Slurm's jobs, and nothing here deletes those",
            )
        )
    if name in wish.workers:
        steps.append(Directory(name, "Make the directory of slurmd", conf.NODE_STATE, 0o755, "root:root"))
    steps += [
        Directory(name, "Make the directory of the logs", "/var/log/slurm", 0o755, "slurm:slurm"),
        File(name, "Write slurm.conf", "/etc/slurm/slurm.conf", conf.slurm_conf(wish, cluster)),
        File(name, "Write gres.conf, which names the GPUs", "/etc/slurm/gres.conf", conf.gres_conf(wish, cluster)),
        File(name, "Write cgroup.conf, which confines jobs", "/etc/slurm/cgroup.conf", conf.cgroup_conf(facts)),
    ]
    if wish.rest and name == wish.controller:
        steps.append(SecretFile(name, "Have a key for tokens", conf.JWT_KEY, 32, 0o400, "slurm:slurm"))
    return steps


def _nodes_in_service(wish: SlurmWish) -> Command:
    return Command(
        wish.controller,
        "Have all nodes register",
        "nodes",
        probe=("sh", "-c", _REGISTERED),
        run=(("sh", "-c", _REJOIN),),
        settle_s=60,
    )
