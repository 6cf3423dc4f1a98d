"""What microk8s cannot be set up on, and what is told instead."""

from pathlib import Path

import pytest

from gpujobs.bootstrap import RefusedError
from gpujobs.bootstrap.microk8s import Microk8sWish, preflight
from gpujobs.bootstrap.microk8s.probes import parse_tracking
from gpujobs.bootstrap.microk8s.steps import microk8s_steps
from gpujobs.bootstrap.microk8s.verify import as_user

from .microk8s_bed import facts, machine_facts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"machine": machine_facts(systemd=False)}, "no systemd"),
        ({"snapd": False, "machine": machine_facts(os_id="fedora", os_name="Fedora 42")}, "no snapd"),
        ({"other": "kubelet"}, "Another Kubernetes runs"),
        ({"user": ""}, "no user"),
        ({"machine": machine_facts(disk_free_mib=5000)}, "5 GiB free"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    """Before anything is changed, with the reason."""
    with pytest.raises(RefusedError, match=message):
        preflight.refuse(Microk8sWish(), {"localhost": facts(tmp_path, **changes)})


def test_another_channel_is_told_and_kept(tmp_path: Path) -> None:
    """Kubernetes is not upgraded by the way: the plan says how, and does not do it."""
    found = facts(tmp_path, channel="1.32/stable")

    said = list(preflight.warnings(Microk8sWish(), {"localhost": found}))

    assert "stays there: to change it, `snap refresh microk8s --channel=1.35/stable`" in said[0]


def test_the_channel_is_read_from_snap_list() -> None:
    """The Tracking column counts, not the version."""
    text = "Name Version Rev Tracking Publisher Notes\nmicrok8s v1.35.0 8511 1.35/stable canonical✓ classic,held\n"

    assert parse_tracking(text) == "1.35/stable"


def test_an_offline_machine_installs_from_a_directory(tmp_path: Path) -> None:
    """The assertion first, then the snap; the store is not asked."""
    found = facts(tmp_path, snap_files=("/srv/microk8s_8511.assert", "/srv/microk8s_8511.snap"))

    steps = microk8s_steps(Microk8sWish(snap="/srv"), {"localhost": found}, {})

    install = next(step for step in steps if step.key == "command:install")
    assert install.commands() == (
        "snap ack /srv/microk8s_8511.assert",
        "snap install /srv/microk8s_8511.snap --classic",
    )


def test_the_user_is_asked_through_the_new_group() -> None:
    """A login from before the group has it only by sg."""
    argv = as_user("alice", ("microk8s", "kubectl", "get", "pods", "-A"))

    assert argv == ("runuser", "-u", "alice", "--", "sg", "microk8s", "-c", "microk8s kubectl get pods -A")
