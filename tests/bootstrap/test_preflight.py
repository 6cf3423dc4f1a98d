"""What is refused before anything is changed, and what is warned of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from gpujobs.bootstrap import RefusedError
from gpujobs.bootstrap.slurm import SlurmWish, with_node, without_node
from gpujobs.bootstrap.slurm.conf import containment, device_range, short_name
from gpujobs.bootstrap.slurm.preflight import refuse, warnings
from tests.bootstrap.test_plans import machine

if TYPE_CHECKING:
    from gpujobs.bootstrap.slurm.probes import SlurmFacts


def changed(name: str, **changes: Any) -> SlurmFacts:
    """A machine with some facts changed; those of the machine itself begin with ``m_``."""
    facts = machine(name)
    own = {key: value for key, value in changes.items() if not key.startswith("m_")}
    inner = {key.removeprefix("m_"): value for key, value in changes.items() if key.startswith("m_")}
    return facts.replace(**own, machine=facts.machine.replace(**inner))


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"m_os_id": "rocky", "m_os_version": "9", "m_os_name": "Rocky Linux 9.4"}, {}, "Rocky Linux 9.4", "Use Debian 12"),
    ({"m_os_version": "11"}, {}, "is not set up by this", "Debian 12 or 13"),
    ({"m_root": False}, {}, "this needs root", "--sudo"),
    ({"m_disk_free_mib": 2047}, {}, "/var has 2047 MiB free", "Make room"),
    ({"m_memory_mib": 1535}, {}, "nothing would be left for jobs", "--memory-reserve"),
    ({}, {"memory_reserve": "600GiB"}, "nothing would be left for jobs", "--memory-reserve"),
    ({"m_clock_offset_s": -121.0}, {}, "clock is off by -121 s", "timedatectl"),
    ({"m_clock_offset_s": 121.0}, {}, "clock is off by 121 s", "timedatectl"),
    ({"source_missing": True}, {"source": "/srv/debs"}, "no slurmd package in /srv/debs", "Copy the .deb"),
    ({"foreign_files": ["/etc/slurm/slurm.conf"]}, {}, "somebody else wrote /etc/slurm/slurm.conf", "--adopt"),
    ({"foreign_daemons": ["slurmctld"]}, {}, "slurmctld runs, and no bootstrap of gpujobs started it", "--adopt"),
    ({"foreign_daemons": ["slurmctld", "slurmd"]}, {}, "slurmctld and slurmd run, and no bootstrap", "--adopt"),
    ({}, {"autodetect": "nvidia"}, "Slurm 22.05.8 cannot detect GPUs", "--autodetect off"),
    ({"m_gpus": [], "m_gpu_files": [], "m_nvidia_cards": 0}, {}, "it has no NVIDIA GPU", "--no-gpus-required"),
    (
        {"m_gpus": [], "m_gpu_files": [], "m_driver_trouble": "couldn't communicate with the NVIDIA driver"},
        {},
        "no driver at work (couldn't communicate",
        "modprobe nvidia",
    ),
    ({"m_gpu_files": ["/dev/nvidia0"]}, {}, "nvidia-smi lists 4 GPUs and /dev has 1", "mend the driver"),
]


@pytest.mark.parametrize(("facts", "wish", "why", "advice"), REFUSED, ids=[row[2][:40] for row in REFUSED])
def test_it_is_refused_with_what_to_do(facts: dict[str, Any], wish: dict[str, Any], why: str, advice: str) -> None:
    """One sentence of what is wrong on which machine, one of what to do."""
    with pytest.raises(RefusedError) as caught:
        refuse(SlurmWish.model_validate(wish), {"localhost": changed("debian12", **facts)})

    assert why in caught.value.message
    assert caught.value.message.startswith("localhost: ")
    assert advice in caught.value.next_step


@pytest.mark.parametrize(
    ("facts", "wish"),
    [
        ({}, {}),
        ({"m_disk_free_mib": 2048, "m_memory_mib": 1536, "m_clock_offset_s": 120.0}, {}),
        ({"foreign_files": ["/etc/slurm/slurm.conf"], "foreign_daemons": ["slurmd"]}, {"adopt": True}),
        ({"m_gpus": [], "m_gpu_files": []}, {"gpus_required": False}),
        ({"version": "24.11.5"}, {"autodetect": "nvidia"}),
    ],
)
def test_what_can_work_is_not_refused(facts: dict[str, Any], wish: dict[str, Any]) -> None:
    """The borders themselves are allowed."""
    refuse(SlurmWish.model_validate(wish), {"localhost": changed("debian12", **facts)})


def test_all_objections_are_told_at_once() -> None:
    """Nobody has to run it five times to learn five things."""
    with pytest.raises(RefusedError) as caught:
        refuse(SlurmWish(), {"localhost": changed("debian12", m_root=False, m_disk_free_mib=1, m_gpu_files=[])})

    assert caught.value.message.count("localhost: ") == 3


def test_machines_have_to_fit_together() -> None:
    """Names are their own, and the Slurm is the same."""
    wish = SlurmWish(nodes=("root@a", "root@b"))

    with pytest.raises(RefusedError, match="several machines call themselves a") as caught:
        refuse(wish, {"localhost": machine("head"), "root@a": machine("node-a"), "root@b": machine("node-a")})
    assert "hostnamectl" in caught.value.next_step
    with pytest.raises(RefusedError, match="different Slurms"):
        refuse(
            SlurmWish(nodes=("root@a",)),
            {"localhost": machine("head"), "root@a": changed("node-a", version="24.11.5")},
        )
    refuse(wish, {"localhost": machine("head"), "root@a": machine("node-a"), "root@b": machine("node-b")})


def test_what_is_less_than_asked_is_said() -> None:
    """No control groups, no systemd, one memory for all: each is a warning."""
    assert warnings(SlurmWish(), {"localhost": machine("debian12")}) == ()
    (old,) = warnings(SlurmWish(), {"localhost": machine("ubuntu2204")})
    assert "cannot use control groups" in old
    (unified,) = warnings(SlurmWish(), {"localhost": machine("gb10")})
    assert "114378 MiB are for jobs and their GPU memory together" in unified
    (bare,) = warnings(SlurmWish(), {"localhost": machine("debian12-bare")})
    assert "after a reboot" in bare


@pytest.mark.parametrize(
    "wish",
    [
        {"partitions": ["DEFAULT"]},
        {"partitions": ["a", "a"]},
        {"partitions": []},
        {"partitions": ["a b"]},
        {"partitions": ["x\nNodeName=evil"]},
        {"cluster": "a,b"},
        {"controller": "-oProxyCommand=evil"},
        {"nodes": ["root@a", "root@a"]},
        {"nodes": ["a b"]},
        {"gpu_type": "A100:8"},
        {"state_directory": "relative"},
        {"state_directory": "/var/lib/slurm/slurmctld"},
        {"state_directory": "/tmp/x"},
        {"state_directory": "/x\ny"},
        {"rest_address": "6820"},
        {"source": "debs"},
        {"memory_reserve": "4G"},
        {"shards": -1},
        {"autodetect": "nvml"},
        {"unknown": 1},
    ],
)
def test_a_wish_that_slurm_conf_could_not_hold_is_refused(wish: dict[str, Any]) -> None:
    """No value may carry a line, a list or an option of its own, or lie where it would be deleted."""
    with pytest.raises(ValidationError):
        SlurmWish.model_validate(wish)


@pytest.mark.parametrize(
    ("name", "changes", "kind"),
    [
        ("debian13-bare", {}, "v2"),
        ("debian13-bare", {"m_init_cgroup": "/process_api"}, "none"),
        ("debian13", {"m_init_cgroup": "/process_api"}, "v2"),
        ("debian13-bare", {"m_init_cgroup": "/process_api", "version": "22.05.8"}, "v2"),
        ("debian12-bare", {"m_init_cgroup": "/process_api"}, "v1"),
        ("ubuntu2204", {}, "none"),
    ],
)
def test_what_can_confine_jobs(name: str, changes: dict[str, Any], kind: str) -> None:
    """Version, systemd and the place of the first process decide."""
    assert containment(changed(name, **changes)) == kind


def test_nodes_come_and_go() -> None:
    """The controller stays a node when one joins; the last node does not leave."""
    alone = SlurmWish(controller="root@c")
    two = with_node(alone, "root@a")

    assert two.nodes == ("root@c", "root@a")
    assert without_node(two, "root@c").nodes == ("root@a",)
    with pytest.raises(RefusedError, match="a node of this cluster already"):
        with_node(two, "root@a")
    with pytest.raises(RefusedError, match="no node of this cluster"):
        without_node(two, "root@b")
    with pytest.raises(RefusedError, match="the last node"):
        without_node(alone, "root@c")


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA GB10", "gb10"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("Tesla V100-SXM2-16GB", "v100"),
        ("NVIDIA GeForce RTX 4090", "rtx_4090"),
        ("NVIDIA RTX A6000", "rtx_a6000"),
        ("Tesla T4", "t4"),
        ("NVIDIA", ""),
    ],
)
def test_gpus_have_short_names(name: str, short: str) -> None:
    """What people type in --gres=gpu:NAME:1."""
    assert short_name(name) == short


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([0], "0"),
        ([3], "3"),
        ([0, 1], "[0-1]"),
        ([0, 2], "[0,2]"),
        ([0, 1, 2, 5, 7, 8], "[0-2,5,7-8]"),
        ([9, 10], "[9-10]"),
    ],
)
def test_device_files_are_named_as_ranges(numbers: list[int], text: str) -> None:
    """Gaps stay gaps, and ten comes after nine."""
    assert device_range([f"/dev/nvidia{n}" for n in numbers]) == f"/dev/nvidia{text}"
