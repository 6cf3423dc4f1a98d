"""What the doctor says of a Slurm cluster, from what its commands print."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs.bootstrap import CommandFailedError
from gpujobs.bootstrap.doctor import Trouble, mend
from gpujobs.bootstrap.slurm import evidence
from gpujobs.bootstrap.slurm.doctor import _RESUME, diagnose
from gpujobs.bootstrap.slurm.evidence import ClusterState, MachineState

if TYPE_CHECKING:
    from tests.bootstrap.conftest import ScriptedShell

CONF = (
    "GresTypes=gpu\nTaskPlugin=task/affinity,task/cgroup\n"
    "SelectTypeParameters=CR_Core_Memory # memory too\nNodeName=c1\n"
)
NODE = (
    "NodeName=c1 Arch=x86_64 CoresPerSocket=2 AvailableFeatures=(null) Gres=gpu:h100:2,shard:8 NodeAddr=127.0.0.1 "
    "OS=Linux State={state} ThreadsPerCore=1 Partitions=gpu BootTime=2026-11-24T05:36:12{reason}\n"
)


def nodes(state: str = "IDLE", reason: str = "") -> tuple[evidence.NodeState, ...]:
    """One node as ``scontrol -o show nodes`` prints it."""
    return evidence.parse_nodes(NODE.format(state=state, reason=f" Reason={reason}" if reason else ""))


HEALTHY = MachineState(
    host="root@c1",
    hostname="c1",
    systemd=True,
    daemons=frozenset({"munged", "slurmctld", "slurmd"}),
    trusts_controller=True,
    munge_says="",
    clock_offset_s=0.0,
    gpu_files=2,
    digest="d",
    cgroup_conf="CgroupPlugin=cgroup/v2\nConstrainDevices=yes\n",
)


def cluster(*, states: str = "IDLE", reason: str = "", **changes: Any) -> ClusterState:
    """A cluster of one machine with nothing wrong but the changes; a machine's begin with ``m_``."""
    own = {key.removeprefix("m_"): value for key, value in changes.items() if key.startswith("m_")}
    outer = {key: value for key, value in changes.items() if not key.startswith("m_")}
    whole = ClusterState(
        True, "UP", (22, 5), evidence.parse_settings(CONF), nodes(states, reason), (replace(HEALTHY, **own),)
    )
    return replace(whole, **outer)


def test_a_healthy_cluster_has_no_trouble() -> None:
    """Nothing is wrong, so nothing is said."""
    assert diagnose(cluster()) == []
    assert diagnose(cluster(states="MIXED")) == []


RESUME = "scontrol update nodename=c1 state=resume"
COUNT = "gres/gpu count reported lower than configured (0 < 2) [slurm@2026-11-24T06:01:02]"
CASES: list[tuple[dict[str, Any], str, list[str], bool]] = [
    ({"m_daemons": frozenset({"slurmctld", "slurmd"})}, "munge does not run on c1", ["systemctl restart munge"], True),
    ({"m_clock_offset_s": -300.0}, "the clock of c1 is off by -300 s", ["timedatectl set-ntp true"], False),
    ({"m_trusts_controller": False}, "c1 does not believe the controller", [], False),
    (
        {"settings": {"taskplugin": "task/cgroup", "selecttypeparameters": "CR_Core_Memory"}},
        "no GresTypes=gpu",
        [],
        False,
    ),
    (
        {"settings": {"taskplugin": "task/cgroup", "selecttypeparameters": "CR_Core", "grestypes": "gpu"}},
        "does not hand out memory",
        [],
        False,
    ),
    ({"m_cgroup_conf": "ConstrainDevices=no\n"}, "can use GPUs they were not given", [], False),
    (
        {"settings": {"taskplugin": "task/none", "selecttypeparameters": "CR_Core_Memory", "grestypes": "gpu"}},
        "can use GPUs they were not given",
        [],
        False,
    ),
    (
        {"m_cgroup_conf": "CgroupAutomount=yes\nConstrainDevices=yes\n", "version": (23, 11)},
        "CgroupAutomount",
        ["sed -i /^[[:space:]]*CgroupAutomount/Id /etc/slurm/cgroup.conf"],
        False,
    ),
    (
        {"answers": False, "nodes": (), "m_daemons": frozenset({"munged", "slurmd"})},
        "slurmctld does not run on c1",
        ["systemctl restart slurmctld"],
        True,
    ),
    ({"answers": False, "nodes": ()}, "runs on c1 and does not answer", [], False),
    (
        {"m_daemons": frozenset({"munged", "slurmctld"})},
        "slurmd does not run on c1",
        ["systemctl restart slurmd"],
        True,
    ),
    (
        {"m_daemons": frozenset({"munged", "slurmctld"}), "m_systemd": False},
        "slurmd does not run on c1",
        ["slurmd"],
        True,
    ),
    (
        {"m_daemons": frozenset({"munged", "slurmctld"}), "m_gpu_files": 1},
        "slurmd does not run on c1, and /dev has 1 of the 2 GPUs",
        [],
        False,
    ),
    (
        {"states": "IDLE+DRAIN+INVALID_REG", "reason": COUNT},
        "does not have what slurm.conf says",
        ["systemctl restart slurmd", f"sh -c {_RESUME} resume c1"],
        True,
    ),
    (
        {"states": "IDLE+DRAIN+INVALID_REG", "reason": COUNT, "m_gpu_files": 0},
        "does not have what slurm.conf",
        [],
        False,
    ),
    (
        {"states": "IDLE+DRAIN", "reason": "broken fan [root@2026-11-24T06:01:02]"},
        "c1 is drained by root",
        [RESUME],
        False,
    ),
    (
        {"states": "IDLE+DRAIN", "reason": "Kill task failed [root@2026-11-24T06:01:02]"},
        "c1 is drained",
        [RESUME],
        True,
    ),
    ({"states": "IDLE+DRAIN", "reason": "Low RealMemory [slurm@2026-11-24T06:01:02]"}, "less memory than", [], False),
    ({"states": "DOWN", "reason": "Node unexpectedly rebooted [slurm@2026]"}, "c1 is down by slurm", [RESUME], True),
    ({"states": "DOWN*", "reason": "Not responding [slurm@2026]"}, "c1 does not answer", [], False),
]


@pytest.mark.parametrize(("changes", "what", "fix", "safe"), CASES, ids=[f"{n}-{c[1]}" for n, c in enumerate(CASES)])
def test_one_thing_wrong_is_one_trouble(changes: dict[str, Any], what: str, fix: list[str], safe: bool) -> None:  # noqa: FBT001
    """What is wrong is said once, with the command that mends it, and whether that is safe."""
    (trouble,) = diagnose(cluster(**changes))

    assert what in trouble.what
    assert [" ".join(argv) for argv in trouble.fix] == fix
    assert trouble.safe == safe
    assert trouble.fix or trouble.advice


def test_files_that_differ_are_found() -> None:
    """Two machines, two configurations."""
    whole = replace(cluster(), machines=(HEALTHY, replace(HEALTHY, host="root@n1", hostname="n1", digest="e")))

    assert [trouble.what for trouble in diagnose(whole)] == [
        "the machines have different slurm.conf or gres.conf files"
    ]


def test_a_node_elsewhere_is_resumed_by_hand() -> None:
    """Its slurmd has to count anew there before the controller may resume it."""
    node = replace(HEALTHY, host="root@n1", hostname="n1")
    bad = evidence.parse_nodes(NODE.replace("c1", "n1").format(state="IDLE+INVALID_REG", reason=f" Reason={COUNT}"))

    (trouble,) = diagnose(replace(cluster(), nodes=bad, machines=(HEALTHY, node)))

    assert (trouble.host, trouble.fix) == ("root@n1", (("systemctl", "restart", "slurmd"),))
    assert "Then: scontrol update nodename=n1 state=resume" in trouble.advice


def test_nodes_are_parsed() -> None:
    """State, reason, who gave it, and GPUs of several types."""
    (node,) = evidence.parse_nodes(
        NODE.replace("gpu:h100:2,shard:8", "gpu:h100:2,gpu:a100:1(S:0-1)").format(
            state="IDLE+DRAIN*", reason=f" Reason={COUNT}"
        )
    )

    assert node.states == {"IDLE", "DRAIN", "NO_ANSWER"}
    assert (node.reason, node.author) == ("gres/gpu count reported lower than configured (0 < 2)", "slurm")
    assert node.gpus == 3


def test_settings_are_parsed() -> None:
    """In any case, without comments, without nodes."""
    assert evidence.parse_settings("# x=1\nGRESTYPES = gpu # c\n\nnodename=a Gres=gpu\nPartitionName=p\n") == {
        "grestypes": "gpu"
    }
    assert evidence.parse_release("slurm-wlm 22.05.8\n") == (22, 5)
    assert evidence.parse_release("") == (0, 0)


def test_only_safe_fixes_are_run(scripted: ScriptedShell) -> None:
    """In their order, on their machine; a fix that fails stops the rest."""
    safe = Trouble("h", "a", "", (("one",), ("two",)), safe=True)
    unsafe = Trouble("h", "b", "", (("three",),))
    empty = Trouble("h", "c", "", safe=True)

    assert mend([safe, unsafe, empty], {"h": scripted}) == [safe]
    assert scripted.ran == ["one", "two"]
    scripted.answer("one", 1)
    with pytest.raises(CommandFailedError):
        mend([safe], {"h": scripted})
    assert scripted.ran == ["one", "two", "one"]


def test_a_cluster_is_looked_at_without_a_change(scripted: ScriptedShell) -> None:
    """Every command of a visit only reads."""
    scripted.answer("scontrol ping", "Slurmctld(primary) at c1 is UP\n")
    scripted.answer("scontrol -o show nodes", NODE.format(state="IDLE", reason=""))
    scripted.answer("munge -n", "MUNGE:cred")
    scripted.answer("date", "1000.0")
    scripted.answer("sh -c hostname -s", "c1\n")
    scripted.answer("sh -c ps -eo comm=", "munged\nslurmctld\nbash\n")
    scripted.answer("sh -c ls -1d /dev/nvidia", "/dev/nvidia0\n")

    seen = evidence.look({"root@c1": scripted}, clock=lambda: 1000.0)

    assert (seen.answers, seen.nodes[0].name, seen.controller.hostname) == (True, "c1", "c1")
    assert seen.controller.daemons == {"munged", "slurmctld"}
    assert (seen.controller.trusts_controller, seen.controller.gpu_files) == (True, 1)
    words = {line.split()[0] for line in scripted.ran}
    assert words == {"scontrol", "slurmctld", "sh", "munge", "unmunge", "date", "test"}
