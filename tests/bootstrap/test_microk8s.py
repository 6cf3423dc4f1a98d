"""microk8s is planned, applied and taken back, with a recording snap and microk8s."""

import json
from pathlib import Path

import pytest
import yaml

from gpujobs.bootstrap import LocalShell
from gpujobs.bootstrap.engine import apply, undo
from gpujobs.bootstrap.microk8s import Microk8sWish
from gpujobs.bootstrap.microk8s.microk8s import UNDOERS
from gpujobs.bootstrap.microk8s.steps import microk8s_steps
from gpujobs.bootstrap.microk8s.verify import verify

from .microk8s_bed import facts, log, machine, machine_facts, plan, state

LESSON = [
    "snap install microk8s --classic --channel=1.35/stable",
    "usermod -a -G microk8s alice",
    "microk8s status --wait-ready --timeout 600",
    "microk8s enable dns",
    "microk8s enable helm3",
    "microk8s enable hostpath-storage",
    "snap alias microk8s.kubectl kubectl",
]


def test_the_plan_has_the_lessons_commands_in_their_order(tmp_path: Path) -> None:
    """Every command of the lesson's setup stands in the plan, in its order; the hold is the only other one."""
    steps = microk8s_steps(Microk8sWish(addons=("dns", "helm3", "storage")), {"localhost": facts(tmp_path)}, {})

    commands = [command for step in steps for command in step.commands()]

    assert [command for command in commands if command in LESSON] == LESSON
    assert sorted(set(commands) - set(LESSON)) == [
        f"microk8s config  # merged into {tmp_path}/.kube/config as the context microk8s; what is there stays",
        "snap refresh --hold microk8s",
    ]


def test_apply_sets_it_up_and_the_second_apply_changes_nothing(bed: Path, me: str, lock_file: str) -> None:
    """The commands are run once."""
    apply(plan(bed, me), lock_file=lock_file)
    once = log(bed)

    second = apply(plan(bed, me), lock_file=lock_file)

    assert state(bed) == {
        "installed": True, "channel": "1.35/stable", "held": True, "addons": ["dns", "helm3", "hostpath-storage"],
        "groups": ["alice", "microk8s"], "alias": False, "nodes": [], "group": True,
    }  # fmt: skip
    assert second.changed == []
    assert log(bed) == once


def test_the_kubeconfig_keeps_what_is_in_it(bed: Path, me: str, lock_file: str) -> None:
    """The cluster is one more context, the current one stays, and an undo takes out no more than that."""
    config = bed / "home/.kube/config"
    config.parent.mkdir()
    mine = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "work", "cluster": {"server": "https://work"}}],
        "users": [{"name": "work", "user": {"token": "x"}}],
        "contexts": [{"name": "work", "context": {"cluster": "work", "user": "work"}}],
        "current-context": "work",
    }
    config.write_text(yaml.safe_dump(mine))

    apply(plan(bed, me), lock_file=lock_file)
    both = yaml.safe_load(config.read_text())
    undo({"localhost": machine(bed, me)}, UNDOERS, lock_file=lock_file)

    assert [entry["name"] for entry in both["contexts"]] == ["work", "microk8s"]
    assert both["current-context"] == "work"
    assert config.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(config.read_text()) == mine


def test_a_context_of_somebody_else_is_not_overwritten(bed: Path, me: str, lock_file: str) -> None:
    """A cluster of the same name on another server stays, and the error says what to do."""
    config = bed / "home/.kube/config"
    config.parent.mkdir()
    text = "clusters: [{name: microk8s, cluster: {server: 'https://elsewhere'}}]\n"
    config.write_text(text)

    with pytest.raises(Exception, match="already has a context microk8s, for https://elsewhere"):
        apply(plan(bed, me), lock_file=lock_file)

    assert config.read_text() == text


def test_no_secret_is_shown_or_noted(bed: Path, me: str, lock_file: str) -> None:
    """The credentials of the cluster are in the kubeconfig and nowhere else."""
    shown = json.dumps(plan(bed, me).to_json())
    apply(plan(bed, me), lock_file=lock_file)

    noted = Path(machine(bed, me).journal.path).read_text()

    assert "hush-hush" in (bed / "home/.kube/config").read_text()
    assert "hush-hush" not in shown + noted


def test_a_microk8s_that_was_there_stays(bed: Path, me: str, lock_file: str) -> None:
    """An undo takes back what was added to it: not itself, not the addon it had."""
    before = {"installed": True, "channel": "1.32/stable", "held": False, "addons": ["dns"], "groups": ["alice"]}
    (bed / "state.json").write_text(json.dumps({**before, "alias": False, "nodes": []}))

    apply(plan(bed, me), lock_file=lock_file)
    undo({"localhost": machine(bed, me)}, UNDOERS, lock_file=lock_file)

    assert {key: state(bed)[key] for key in before} == before


def test_a_group_that_was_there_stays(bed: Path, me: str, lock_file: str) -> None:
    """The snap takes the group it finds, and an undo leaves it, without the user that was put in."""
    before = {"installed": False, "channel": "", "held": False, "addons": [], "groups": ["alice"], "group": True}
    (bed / "state.json").write_text(json.dumps({**before, "alias": False, "nodes": []}))

    apply(plan(bed, me), lock_file=lock_file)
    undo({"localhost": machine(bed, me)}, UNDOERS, lock_file=lock_file)

    assert {key: state(bed)[key] for key in before} == before
    assert "gpasswd -d alice microk8s" in log(bed)


def test_a_group_with_somebody_in_it_stays_and_is_named(bed: Path, me: str, lock_file: str) -> None:
    """A user that somebody else has put in does not lose it, though the group came with microk8s."""
    apply(plan(bed, me), lock_file=lock_file)
    (bed / "bin/getent").unlink()
    (bed / "bin/getent").write_text("#!/bin/sh\necho microk8s:x:1001:bob,carol\n")
    (bed / "bin/getent").chmod(0o755)

    taken = undo({"localhost": machine(bed, me)}, UNDOERS, lock_file=lock_file)

    assert state(bed)["group"] is True
    assert (
        "localhost: Note whether there is a group microk8s: the group microk8s stays: bob, carol are in it"
        in taken.kept
    )


def test_a_microk8s_removed_by_hand_can_still_be_undone(bed: Path, me: str, lock_file: str) -> None:
    """What is gone already is no error."""
    apply(plan(bed, me), lock_file=lock_file)
    (bed / "state.json").write_text(json.dumps({**state(bed), "installed": False}))

    undo({"localhost": machine(bed, me)}, UNDOERS, lock_file=lock_file)

    assert not (bed / "state").exists()


def test_nothing_of_dockers_is_in_any_command(bed: Path, me: str, lock_file: str) -> None:
    """Neither the plan nor what an undo ran names containerd's data, a link or a packet filter rule."""
    apply(plan(bed, me), lock_file=lock_file)
    undo({"localhost": machine(bed, me)}, UNDOERS, lock_file=lock_file)

    forbidden = ("/var/lib/containerd", "docker", "iptables", "ip link", "/etc/cni", "veth")
    assert [line for line in log(bed) if any(word in line for word in forbidden)] == []


def test_a_worker_joins_with_a_token_that_is_shown_nowhere(tmp_path: Path) -> None:
    """The plan names both commands and hides the token; the control plane waits for the node."""
    wish = Microk8sWish(workers=("w1",))
    cluster = {"localhost": facts(tmp_path), "w1": facts(tmp_path, machine=machine_facts(hostname="W1"))}
    shells = {"localhost": LocalShell("localhost"), "w1": LocalShell("w1")}

    steps = microk8s_steps(wish, cluster, shells)

    commands = [command for step in steps if step.host == "w1" for command in step.commands()]
    assert commands[-2:] == [
        "microk8s add-node --token-ttl 600 --format json  # on localhost",
        "microk8s join <secret> --worker",
    ]
    assert (steps[-1].host, steps[-1].key) == ("localhost", "command:node-w1")


def test_verify_says_when_there_is_none(bed: Path, me: str) -> None:
    """Without microk8s the first check fails, and nothing after it is claimed."""
    checks = list(verify(machine(bed, me).shell, "root", 1))

    assert [check.ok for check in checks] == [False]
