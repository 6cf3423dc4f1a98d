"""What the wish for a microk8s no longer has is taken back if gpujobs made it, and left alone if somebody else did."""

import json
from pathlib import Path

import pytest
import yaml

from gpujobs.bootstrap import LocalShell, Plan
from gpujobs.bootstrap.engine import apply, undo
from gpujobs.bootstrap.microk8s import Microk8sWish
from gpujobs.bootstrap.microk8s.leftovers import no_longer_wished
from gpujobs.bootstrap.microk8s.microk8s import UNDOERS
from gpujobs.bootstrap.microk8s.steps import microk8s_steps

from .microk8s_bed import facts, log, machine, machine_facts, plan, state

FEWER = Microk8sWish(addons=("dns",))


def todo(planned: Plan) -> list[tuple[str, tuple[str, ...]]]:
    """What a plan says is to be done, with the commands."""
    return [(look.step.title, look.step.commands()) for look in planned.look() if not look.finding.done]


def test_an_addon_that_is_wished_no_more_is_disabled(bed: Path, me: str, lock_file: str) -> None:
    """The plan says so with the command, apply does it, and neither comes again; what is still wished stays."""
    apply(plan(bed, me), lock_file=lock_file)

    said = todo(plan(bed, me, FEWER))
    changed = apply(plan(bed, me, FEWER), lock_file=lock_file).changed
    once = log(bed)
    again = apply(plan(bed, me, FEWER), lock_file=lock_file)

    assert said == [
        ("Take back, since it is no longer wished: Enable hostpath-storage", ("microk8s disable hostpath-storage",)),
        ("Take back, since it is no longer wished: Enable helm3", ("microk8s disable helm3",)),
    ]
    assert changed == [f"localhost: {title}" for title, _ in said]
    assert once[-2:] == ["microk8s disable hostpath-storage", "microk8s disable helm3"]
    assert state(bed)["addons"] == ["dns"]
    assert (again.changed, log(bed), machine(bed, me).journal.wish["addons"]) == ([], once, ["dns"])


def test_an_addon_that_somebody_enabled_by_hand_stays(bed: Path, me: str, lock_file: str) -> None:
    """Whether it was wished for a while, or never: only what gpujobs has enabled itself is in its journal."""
    before = {"installed": True, "channel": "1.35/stable", "held": False, "addons": ["helm3"], "groups": ["alice"]}
    (bed / "state.json").write_text(json.dumps({**before, "alias": False, "nodes": []}))
    apply(plan(bed, me), lock_file=lock_file)
    (bed / "state.json").write_text(json.dumps({**state(bed), "addons": ["helm3", "dns", "hostpath-storage", "gpu"]}))

    apply(plan(bed, me, FEWER), lock_file=lock_file)

    assert state(bed)["addons"] == ["helm3", "dns", "gpu"]
    assert [line for line in log(bed) if "disable" in line] == ["microk8s disable hostpath-storage"]


def test_it_comes_back_when_it_is_wished_again(bed: Path, me: str, lock_file: str) -> None:
    """As if for the first time, and an undo knows of it."""
    for wish in (None, FEWER, None):
        apply(plan(bed, me, wish), lock_file=lock_file)
    there = state(bed)["addons"]
    undo({"localhost": machine(bed, me)}, UNDOERS, lock_file=lock_file)

    assert there == ["dns", "helm3", "hostpath-storage"]
    assert log(bed).count("microk8s enable helm3") == 2
    assert not (bed / "state").exists()


def test_an_argument_of_an_addon_is_no_other_addon(bed: Path, me: str, lock_file: str) -> None:
    """`dns:1.1.1.1` is dns."""
    apply(plan(bed, me), lock_file=lock_file)

    planned = plan(bed, me, Microk8sWish(addons=("dns:1.1.1.1", "helm3", "hostpath-storage")))

    assert todo(planned) == []


def test_a_microk8s_that_was_removed_by_hand_has_nothing_to_disable(bed: Path, me: str, lock_file: str) -> None:
    """The guard asks first: an addon that went with its microk8s is no error."""
    apply(plan(bed, me), lock_file=lock_file)
    planned = plan(bed, me, FEWER)
    (bed / "state.json").write_text(json.dumps({**state(bed), "installed": False, "addons": []}))

    for step in planned.steps:
        if step.kind == "take-back":
            step.apply(machine(bed, me))

    assert [line for line in log(bed) if "disable" in line] == []
    assert state(bed)["installed"] is False


def test_a_context_under_another_name_takes_the_place_of_the_former(bed: Path, me: str, lock_file: str) -> None:
    """One cluster is not left in the kubeconfig under two names, and an undo still removes the file that was made."""
    apply(plan(bed, me), lock_file=lock_file)
    renamed = Microk8sWish(context="lab")

    said = todo(plan(bed, me, renamed))
    apply(plan(bed, me, renamed), lock_file=lock_file)
    path = bed / "home/.kube/config"
    config, left = yaml.safe_load(path.read_text()), todo(plan(bed, me, renamed))
    undo({"localhost": machine(bed, me)}, UNDOERS, lock_file=lock_file)

    assert said[0][1] == (f": take the context microk8s out of {path}",)
    assert [entry["name"] for entry in config["contexts"]] == ["lab"]
    assert (config["current-context"], left) == ("lab", [])
    assert not path.exists()


def test_the_context_of_another_user_stays(bed: Path, me: str, tmp_path: Path) -> None:
    """Bob runs an apply: that takes nothing out of the kubeconfig of Alice, whose was the first."""
    control = machine(bed, me)
    control.journal.begin("kubeconfig:/home/alice/.kube/config#microk8s", "kubeconfig-context", "Alice's", {})
    steps = microk8s_steps(Microk8sWish(), {"localhost": facts(tmp_path, user="bob")}, {})

    assert no_longer_wished(steps, control, UNDOERS) == ()


def test_a_worker_that_is_wished_no_more_is_no_node_any_more(bed: Path, me: str, tmp_path: Path) -> None:
    """It leaves by its own undo; the control plane then forgets the node."""
    control = machine(bed, me)
    cluster = {"localhost": facts(tmp_path), "w1": facts(tmp_path, machine=machine_facts(hostname="W1"))}
    shells = {"localhost": LocalShell("localhost"), "w1": LocalShell("w1")}
    both = microk8s_steps(Microk8sWish(workers=("w1",)), cluster, shells)
    (node,) = (step for step in both if step.key == "command:node-w1")
    control.journal.begin(node.key, node.kind, node.title, {"undo": [["microk8s", "remove-node", "w1"]], "keeps": ""})

    (left,) = no_longer_wished(microk8s_steps(Microk8sWish(), cluster, shells), control, UNDOERS)

    assert (left.host, left.commands()) == ("localhost", ("microk8s remove-node w1",))
    assert no_longer_wished(both, control, UNDOERS) == ()


@pytest.mark.parametrize("key", ["packages:Install snapd", "command:install", "command:group", "group-before:microk8s"])
def test_what_no_option_decides_is_never_taken_back_by_an_apply(bed: Path, me: str, key: str) -> None:
    """Snapd, say, is in a plan only until it is there: that the next one lacks it means nothing."""
    control = machine(bed, me)
    control.journal.begin(key, "command", "Made once", {"undo": [["false"]], "keeps": ""})

    assert no_longer_wished((), control, UNDOERS) == ()
