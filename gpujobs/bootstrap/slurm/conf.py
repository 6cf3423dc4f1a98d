"""The configuration files of a cluster, as pure functions of the wish and the facts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujobs.bootstrap.slurm.probes import SlurmFacts
    from gpujobs.bootstrap.slurm.wish import SlurmWish

JWT_KEY = "/etc/slurm/jwt_hs256.key"
NODE_STATE = "/var/spool/slurm/d"
DATABASE = "slurm_acct_db"
_HEAD = "# Written by gpujobs bootstrap; `gpujobs bootstrap slurm apply` writes it anew.\n"
_RESERVE_MIB = 1024
_UNIFIED_RESERVE_MIB = 8192
_MIB = 2**20

Containment = Literal["v1", "v2", "none"]


def containment(facts: SlurmFacts) -> Containment:
    """Which control groups this Slurm can use on this machine."""
    found = facts.machine.cgroups
    if found in {"v1", "hybrid"}:
        return "v1"
    # 21.08 knows version 1 only. https://slurm.schedmd.com/cgroup_v2.html
    if found != "v2" or facts.release < (22, 5):
        return "none"
    # Without systemd a Slurm newer than 22.05 needs a group below that of the first process, and the kernel hands
    # controllers down only from groups without processes: seen in a container whose first process was not at the top.
    stuck = not facts.machine.systemd and facts.machine.init_cgroup != "/" and facts.release > (22, 5)
    return "none" if stuck else "v2"


def gpu_type(wish: SlurmWish, facts: SlurmFacts) -> str:
    """What the GPUs of a node are called; "" for no name, as where they differ or none was found."""
    if wish.gpu_type is not None:
        return wish.gpu_type
    names = {short_name(gpu.name) for gpu in facts.machine.gpus}
    return names.pop() if len(names) == 1 else ""


def short_name(name: str) -> str:
    """``h100`` from ``NVIDIA H100 80GB HBM3``, ``rtx_4090`` from ``NVIDIA GeForce RTX 4090``."""
    words = [
        word for word in re.split(r"[\s/-]+", name.lower()) if word not in {"nvidia", "tesla", "geforce", "quadro"}
    ]
    family = bool(words) and words[0] in {"rtx", "gtx", "titan"}
    return re.sub(r"[^a-z0-9_]", "", "_".join(words[: 2 if family else 1]))


def memory_mib(wish: SlurmWish, facts: SlurmFacts) -> int:
    """What jobs may have of a node's memory: below what slurmd finds, or it refuses to register."""
    standard = _UNIFIED_RESERVE_MIB if facts.machine.unified_memory else _RESERVE_MIB
    reserve = standard if wish.memory_reserve is None else -(-wish.memory_reserve // _MIB)
    return max(facts.machine.memory_mib - reserve, 1)


def slurm_conf(wish: SlurmWish, cluster: Mapping[str, SlurmFacts]) -> str:
    """slurm.conf, the same on every machine."""
    workers = [cluster[name] for name in wish.workers]
    contained = all(containment(facts) != "none" for facts in workers)
    controller = cluster[wish.controller]
    lines = [
        f"ClusterName={wish.cluster}",
        f"SlurmctldHost={controller.machine.hostname}({controller.address})",
        "SlurmUser=slurm",
        "AuthType=auth/munge",
        *_alternative_auth(wish),
        f"StateSaveLocation={wish.state_directory}",
        f"SlurmdSpoolDir={NODE_STATE}",
        "SlurmctldPidFile=/run/slurmctld.pid",
        "SlurmdPidFile=/run/slurmd.pid",
        "SlurmctldLogFile=/var/log/slurm/slurmctld.log",
        "SlurmdLogFile=/var/log/slurm/slurmd.log",
        "MailProg=/usr/bin/true",
        f"ProctrackType=proctrack/{'cgroup' if contained else 'linuxproc'}",
        f"TaskPlugin={'task/affinity,task/cgroup' if contained else 'task/none'}",
        f"JobAcctGatherType=jobacct_gather/{'cgroup' if contained else 'linux'}",
        "SchedulerType=sched/backfill",
        *_scheduling(wish, controller),
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        f"GresTypes={'gpu,shard' if wish.shards else 'gpu'}",
        "ReturnToService=2",
        *_accounting(wish, controller),
        *(_node(wish, facts) for facts in workers),
        *_partitions(wish, workers),
    ]
    return _HEAD + "\n".join(lines) + "\n"


def _alternative_auth(wish: SlurmWish) -> list[str]:
    return ["AuthAltTypes=auth/jwt", f"AuthAltParameters=jwt_key={JWT_KEY}"] if wish.rest else []


def _scheduling(wish: SlurmWish, controller: SlurmFacts) -> list[str]:
    # 23.11.4 without job records says of every job: "sched: JobId=1 has invalid account"
    # Only backfill starts it then, and that looks every 30 seconds by default.
    return ["SchedulerParameters=bf_interval=2"] if controller.release == (23, 11) and not wish.accounting else []


def _accounting(wish: SlurmWish, controller: SlurmFacts) -> list[str]:
    if not wish.accounting:
        return []
    return [
        "AccountingStorageType=accounting_storage/slurmdbd",
        f"AccountingStorageHost={controller.address}",
        "AccountingStorageTRES=gres/gpu",
    ]


def _node(wish: SlurmWish, facts: SlurmFacts) -> str:
    cpus, gpus = facts.machine.cpus, len(facts.machine.gpu_files)
    kind = gpu_type(wish, facts)
    gres = [f"gpu:{kind}:{gpus}" if kind else f"gpu:{gpus}"] if gpus else []
    gres += [f"shard:{gpus * wish.shards}"] if gpus and wish.shards else []
    words = [
        f"NodeName={facts.machine.hostname}",
        f"NodeAddr={facts.address}",
        f"CPUs={cpus.total}",
        "Boards=1",
        f"SocketsPerBoard={cpus.sockets}",
        f"CoresPerSocket={cpus.cores_per_socket}",
        f"ThreadsPerCore={cpus.threads_per_core}",
        f"RealMemory={memory_mib(wish, facts)}",
        *([f"Gres={','.join(gres)}"] if gres else []),
        "State=UNKNOWN",
    ]
    return " ".join(words)


def _partitions(wish: SlurmWish, workers: Sequence[SlurmFacts]) -> list[str]:
    nodes = ",".join(facts.machine.hostname for facts in workers)
    # Memory is handed out too, and a job that names none would get all of a node.
    share = min(memory_mib(wish, facts) // facts.machine.cpus.total for facts in workers)
    return [
        f"PartitionName={name} Nodes={nodes} Default={'YES' if name == wish.partitions[0] else 'NO'} "
        f"MaxTime={wish.longest} DefMemPerCPU={max(share, 1)} State=UP"
        for name in wish.partitions
    ]


def gres_conf(wish: SlurmWish, cluster: Mapping[str, SlurmFacts]) -> str:
    """gres.conf, the same on every machine: each line names its node."""
    lines: list[str] = []
    for facts in (cluster[name] for name in wish.workers):
        files = facts.machine.gpu_files
        if not files:
            continue
        node, kind = facts.machine.hostname, gpu_type(wish, facts)
        if wish.autodetect == "nvidia":
            # Lines for the devices themselves would be counted twice.
            lines.append(f"NodeName={node} AutoDetect=nvidia")
        else:
            named = f" Type={kind}" if kind else ""
            lines.append(f"NodeName={node} Name=gpu{named} File={device_range(files)}")
        if wish.shards:
            lines.extend(f"NodeName={node} Name=shard Count={wish.shards} File={path}" for path in files)
    return _HEAD + "".join(f"{line}\n" for line in lines)


def device_range(files: Sequence[str]) -> str:
    """``/dev/nvidia[0-3,5]`` from the single device files."""
    numbers = sorted(int(path.removeprefix("/dev/nvidia")) for path in files)
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return f"/dev/nvidia{texts[0]}" if texts[0].isdigit() and len(texts) == 1 else f"/dev/nvidia[{','.join(texts)}]"


def cgroup_conf(facts: SlurmFacts) -> str:
    """cgroup.conf for one machine, for its version of Slurm and its control groups."""
    kind = containment(facts)
    if kind == "none":
        return _HEAD + _without_cgroups(facts)
    lines = ["ConstrainCores=yes", "ConstrainDevices=yes", "ConstrainRAMSpace=yes"]
    if facts.release >= (22, 5):
        # Named, not detected: detection refuses a version 1 with an empty version 2 beside it ("hybrid").
        lines.insert(0, f"CgroupPlugin=cgroup/{kind}")
    if kind == "v2" and not facts.machine.systemd:
        lines.append("IgnoreSystemd=yes")
    return _HEAD + "\n".join(lines) + "\n"


def _without_cgroups(facts: SlurmFacts) -> str:
    """The plug-in to load where none of its parts is used: slurmd wants one for control groups in any case."""
    if facts.release >= (24, 5):
        return "CgroupPlugin=disabled\n"
    # 23.11 knows no such word, and version 2 ends slurmd where it cannot make a group; version 1 only loads.
    return "CgroupPlugin=cgroup/v1\n" if facts.release >= (22, 5) else ""


def slurmdbd_conf(controller: SlurmFacts) -> str:
    """slurmdbd.conf; MariaDB knows the user slurm by its socket, so there is no password to keep."""
    lines = [
        f"DbdHost={controller.machine.hostname}",
        f"DbdAddr={controller.address}",
        "SlurmUser=slurm",
        "AuthType=auth/munge",
        "PidFile=/run/slurmdbd.pid",
        "LogFile=/var/log/slurm/slurmdbd.log",
        "StorageType=accounting_storage/mysql",
        "StorageHost=localhost",
        "StorageUser=slurm",
        f"StorageLoc={DATABASE}",
    ]
    return _HEAD + "\n".join(lines) + "\n"
