"""Machines that are not as one would like them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.live.bootstrap.conftest import Bed, Box

HOST = ("--host", "root@c1")
APPLY = ("slurm", "apply", *HOST, "--yes")
# What an apt at work holds: a lock of fcntl, which flock(1) cannot take.
HOLD_APT = (
    "perl -e 'open F, q(>>), q(/var/lib/dpkg/lock-frontend); $lock = pack(q(s s x4 q q i), 1, 0, 0, 0, 0); "
    "fcntl(F, 6, $lock) or die; $| = 1; print qq(held\n); sleep 4'"
)


def test_somebody_elses_configuration_is_adopted_and_given_back(bed: Bed, boot: Callable[..., Box]) -> None:
    """It is refused, replaced only when told so, and an undo gives it back to the byte, mode and owner."""
    box = boot("c1")
    box.sh("mkdir /etc/slurm; printf 'ClusterName=theirs\\n' > /etc/slurm/slurm.conf; chmod 640 /etc/slurm/slurm.conf")
    box.sh("echo mine > /etc/slurm/job_submit.lua")
    theirs = {path: state for path, state in box.tree().items() if path.startswith("/etc/slurm")}

    refused = bed.bootstrap(*APPLY)
    assert refused.exit_code == 1
    assert refused.err.splitlines()[0] == "Error: root@c1: somebody else wrote /etc/slurm/slurm.conf"
    assert "--adopt" in refused.err.splitlines()[1]
    assert "munged" not in box.processes()

    adopted = bed.bootstrap(*APPLY, "--adopt")
    assert adopted.exit_code == 0, adopted.err
    assert "ClusterName=gpujobs" in box.sh("cat /etc/slurm/slurm.conf")
    assert bed.bootstrap("slurm", "undo", *HOST, "--yes").exit_code == 0
    after = {path: state for path, state in box.tree().items() if path.startswith("/etc/slurm")}
    assert {path: after[path] for path in theirs} == theirs


def test_an_apt_at_work_is_waited_for(bed: Bed, boot: Callable[..., Box]) -> None:
    """A lock of apt delays, and a half-installed package is finished first."""
    box = boot("c1")
    box.sh("dpkg --unpack /srv/debs/munge_*.deb")
    command = ["nsenter", *box.shell.prefix[1:], "sh", "-c", HOLD_APT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"

        applied = bed.bootstrap(*APPLY)

    assert applied.exit_code == 0, applied.err
    assert box.processes() == {"munged", "slurmctld", "slurmd"}


def test_a_disk_that_is_full_is_told_before_anything_is_changed(bed: Bed, boot: Callable[..., Box]) -> None:
    """What cannot be noted is not done."""
    box = boot("c1")
    box.sh("mkdir -p /var/lib/gpujobs && mount -t tmpfs -o size=4k,nr_inodes=2 tmpfs /var/lib/gpujobs")
    before = box.sh("dpkg-query -W")

    failed = bed.bootstrap(*APPLY)

    assert failed.exit_code == 1
    assert "No space left on device" in failed.err
    assert box.sh("dpkg-query -W") == before


def test_packages_come_from_a_directory(bed: Bed, boot: Callable[..., Box]) -> None:
    """Without any package server, from ``.deb`` files alone; a directory without them is refused."""
    box = boot("c1", suite="trixie")
    box.sh(": > /etc/apt/sources.list; rm -rf /var/lib/apt/lists/*; mkdir /opt/empty")

    refused = bed.bootstrap(*APPLY, "--source", "/opt/empty")
    assert "there is no slurmd package in /opt/empty" in refused.err
    without = bed.bootstrap(*APPLY)
    assert without.exit_code == 1
    assert "apt-get" in without.err.splitlines()[-2]

    applied = bed.bootstrap(*APPLY, "--source", "/srv/debs")

    assert applied.exit_code == 0, applied.err
    assert bed.bootstrap("slurm", "verify", *HOST).exit_code == 0


def test_the_doctor_finds_and_mends(bed: Bed, boot: Callable[..., Box]) -> None:
    """Dead daemons and a GPU that came back late are mended; a GPU that is gone, and a drain, are for a person."""
    box = boot("c1")
    assert bed.bootstrap(*APPLY).exit_code == 0
    assert bed.doctor(*HOST).exit_code == 0

    box.sh("kill $(cat /run/slurmctld.pid) $(cat /run/slurmd.pid) $(cat /run/munge/munged.pid); sleep 2")
    sick = bed.doctor(*HOST, "--json")
    assert sick.exit_code == 1
    assert [trouble["what"] for trouble in json.loads(sick.out)["troubles"]] == [
        "munge does not run on c1",
        "slurmctld does not run on c1",
    ]
    mended = bed.doctor(*HOST, "--fix", "--yes")
    assert "mended: slurmctld does not run on c1" in mended.err
    mended = bed.doctor(*HOST, "--fix", "--yes")  # slurmd, which only a slurmctld that answers can miss
    assert bed.doctor(*HOST).exit_code == 0, mended.out
    assert box.processes() == {"munged", "slurmctld", "slurmd"}

    restart = "kill $(cat /run/slurmd.pid); while pgrep -x slurmd; do sleep 0.2; done; slurmd || true; sleep 2"
    box.sh(f"mv /dev/nvidia1 /dev/away; {restart}")
    (trouble,) = json.loads(bed.doctor(*HOST, "--json").out)["troubles"]
    assert "slurmd does not run on c1, and /dev has 1 of the 2 GPUs" in trouble["what"]
    assert not trouble["safe"]
    box.sh("mv /dev/away /dev/nvidia1")
    assert bed.doctor(*HOST, "--fix", "--yes").exit_code == 0
    box.sh("sleep 2; sinfo -h -N -o %T | grep -x idle")

    box.sh(f"cp /etc/slurm/gres.conf /root; sed -i 's/.0-1./0/' /etc/slurm/gres.conf; {restart}")
    (trouble,) = json.loads(bed.doctor(*HOST, "--json").out)["troubles"]
    assert trouble["what"] == "c1 does not have what slurm.conf says (INVALID_REG)"
    assert bed.bootstrap(*APPLY).exit_code == 0
    assert bed.doctor(*HOST, "--fix", "--yes").exit_code == 0
    box.sh("sinfo -h -N -o %T | grep -x idle")

    box.sh("scontrol update nodename=c1 state=drain reason='new fan'")
    drained = bed.doctor(*HOST, "--fix", "--yes")
    assert drained.exit_code == 1
    assert "c1 is drained by root" in drained.out
    assert "new fan" in drained.out


def test_a_machine_without_control_groups_still_runs_jobs(bed: Bed, boot: Callable[..., Box]) -> None:
    """As in a container that may not make any: it is said, and nobody claims that GPUs are kept apart."""
    box = boot("c1", suite="noble", gpus=1)
    box.sh("mount -t tmpfs -o ro tmpfs /sys/fs/cgroup")

    applied = bed.bootstrap(*APPLY)
    proved = bed.bootstrap("slurm", "verify", *HOST, "--json")

    assert applied.exit_code == 0, applied.err
    assert "a job can use GPUs, memory and cores that it was not given" in applied.err
    assert proved.exit_code == 0, proved.out
    assert [check["title"] for check in json.loads(proved.out)["checks"]][-1] == "A job on c1 got the GPU it asked for"
