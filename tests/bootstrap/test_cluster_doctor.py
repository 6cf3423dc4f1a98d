"""What the doctor makes of evidence that no test bed can give: machines' GPUs, rights, and what is long gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs.bootstrap import LocalShell
from gpujobs.bootstrap.client_doctor import checkup, filesystem
from gpujobs.bootstrap.facts import GpuFact, MachineFacts
from gpujobs.bootstrap.gpu_doctor import diagnose as diagnose_gpus
from gpujobs.bootstrap.kubernetes import Access
from gpujobs.bootstrap.kubernetes.cluster import Cluster
from gpujobs.bootstrap.kubernetes.doctor import diagnose
from gpujobs.bootstrap.kubernetes.doctor_sharing import flaw
from gpujobs.bootstrap.kubernetes.evidence import (
    NEEDED,
    Evidence,
    PodState,
    orphans,
    pod_state,
    refusals,
    reviews,
    sharing_config,
)
from gpujobs.bootstrap.kubernetes.facts import ClusterFacts, NodeFact, Policy
from gpujobs.bootstrap.visits import of_host, of_target

from .microk8s_bed import machine_facts

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import ScriptedShell

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
GPU = GpuFact(index=0, name="NVIDIA T4", uuid="GPU-1", memory_mib=15360)


def machine(**changes: Any) -> MachineFacts:
    """A machine with one GPU that works."""
    works = {"driver": "580.95", "nvidia_cards": 1, "gpus": (GPU,), "gpu_files": ("/dev/nvidia0",)}
    return machine_facts(**{**works, **changes})


def evidence(*nodes: NodeFact, **changes: Any) -> Evidence:
    """A cluster with a ready operator."""
    policy = Policy(name="cluster-policy", state="ready")
    facts = ClusterFacts(identity="x", nodes=nodes, policy=policy, runtime_classes=("nvidia",))
    access = Access(kubectl=("kubectl",), helm=("helm",))
    return replace(Evidence("localhost", access, facts, "gpu-operator", "ml"), **changes)


def test_a_machine_that_works_has_nothing() -> None:
    """No false alarm."""
    assert diagnose_gpus("h", machine()) == []


@pytest.mark.parametrize(
    ("changes", "what", "fix"),
    [
        (
            {"driver": "", "driver_trouble": "Failed to initialize NVML: Driver/library version mismatch"},
            "of different versions", (),
        ),
        ({"driver": "", "driver_trouble": "nvidia-smi: not found"}, "1 NVIDIA GPUs and no driver", ()),
        (
            {"driver": "", "driver_trouble": "NVIDIA-SMI couldn't communicate with the NVIDIA driver."},
            "installed and not loaded", (("modprobe", "nvidia"),),
        ),
        ({"driver": "", "driver_trouble": "No devices were found"}, "finds no GPU that works", ()),
        ({"nvidia_cards": 2}, "1 of 2 GPUs are not seen", ()),
        ({"gpu_files": ()}, "device files of 1 GPUs are missing", (("nvidia-modprobe", "-u", "-c", "0"),)),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_machines_gpus(changes: dict[str, Any], what: str, fix: tuple[Any, ...]) -> None:
    """Driver, kernel module, devices: each told apart, with the command where one is enough."""
    (trouble,) = diagnose_gpus("h", machine(**changes))

    assert what in trouble.what
    assert trouble.fix == fix
    assert trouble.fix or trouble.advice


@pytest.mark.parametrize(("docker", "what"), [("absent", "toolkit is not"), ("unknown", "was not told")])
def test_docker_without_nvidia(docker: str, what: str) -> None:
    """A Docker that cannot hand out GPUs is told of."""
    (trouble,) = diagnose_gpus("h", machine(), docker=docker)

    assert what in trouble.what


def test_a_gpu_node_that_hands_out_none() -> None:
    """Its PCI bus has one, and the cluster no device plugin for it."""
    node = NodeFact(name="n1", ready=True, labels={"feature.node.kubernetes.io/pci-10de.present": "true"})

    (trouble,) = diagnose(evidence(node, operator=""))

    assert trouble.what == "the node n1 has GPUs and hands out none"
    assert "gpu-operator plan" in trouble.advice


def test_an_unready_node_and_an_operator_without_runtime_class() -> None:
    """Both are told, the node first: it may be the cause of the rest."""
    facts = ClusterFacts(
        identity="x", nodes=(NodeFact(name="n1", ready=False),), policy=Policy(name="p", state="ready")
    )

    said = [trouble.what for trouble in diagnose(evidence(facts=facts))]

    assert said == ["the node n1 is not ready", "there is no RuntimeClass nvidia"]


def test_pods_of_others_matter_only_for_their_images() -> None:
    """A crash of somebody's own pod is not the cluster's trouble; one of the operator's is."""
    crash = PodState("ml", "mine", "x:1", "CrashLoopBackOff", "back-off")
    operators = PodState("gpu-operator", "plugin", "x:1", "CrashLoopBackOff", "back-off")
    pull = PodState("ml", "other", "x:2", "ImagePullBackOff", "not found")

    said = [trouble.what for trouble in diagnose(evidence(pods=(crash, operators, pull)))]

    assert said == ["gpu-operator/plugin does not run", "ml/other cannot pull x:2"]


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ("true\n" * 10, ()),
        ("true\n" * 5 + "false\n" + "true\n" * 3 + "false\n", ("get pods/log", "list events")),
        (1, ()),
    ],
    ids=["all", "two lack", "silence"],
)
def test_rights_are_asked_for_in_one_go(scripted: ScriptedShell, answer: str | int, refused: tuple[str, ...]) -> None:
    """In the order of the questions; where no answer comes, nothing is said to be refused."""
    scripted.answer("kubectl create --validate=false -f -", answer)

    said = refusals(Cluster(scripted, Access(kubectl=("kubectl",), helm=("helm",))), "ml")

    assert said == refused
    assert len(scripted.ran) == 1


def test_a_review_asks_what_can_i_would() -> None:
    """Group and subresource are taken apart, and the namespace is the one where workloads run."""
    asked = [item["spec"]["resourceAttributes"] for item in reviews("ml")["items"]]

    assert len(asked) == len(NEEDED)
    assert asked[0] == {"namespace": "ml", "verb": "create", "group": "batch", "resource": "jobs", "subresource": ""}
    assert {"namespace": "ml", "verb": "get", "group": "", "resource": "pods", "subresource": "log"} in asked


def test_orphans_are_old_and_without_an_owner() -> None:
    """What is younger than an hour may be a submission at work; what has its owner is in use."""

    def child(name: str, made: str, owner: str = "") -> dict[str, Any]:
        references = [{"uid": owner}] if owner else []
        metadata = {"namespace": "ml", "name": name, "creationTimestamp": made, "ownerReferences": references}
        return {"kind": "ConfigMap", "metadata": metadata}

    old = "2026-11-24T10:00:00Z"
    children = [child("a", old), child("b", "2026-11-24T11:30:00Z"), child("c", old, "here"), child("d", old, "gone")]

    found = orphans(children, [{"metadata": {"uid": "here"}}], NOW)

    assert found == [("ml", "configmap/a"), ("ml", "configmap/d")]
    (first, _) = diagnose(evidence(orphans=tuple(found)))
    assert first.safe
    assert first.fix == (("kubectl", "delete", "configmap/a", "-n", "ml", "--ignore-not-found"),)


def test_only_configurations_of_a_device_plugin_are_read() -> None:
    """Other ConfigMaps are none, whatever is in them."""
    metadata = {"namespace": "n", "name": "x", "creationTimestamp": "2026-11-24T10:00:00Z"}

    assert sharing_config({"metadata": metadata, "data": {"sharing.txt": ": sharing : [", "a": "b"}}) is None
    assert sharing_config({"metadata": metadata, "data": {"any": "version: v1\nsharing: {}"}}) is not None
    assert flaw({"sharing": {"timeSlicing": {"replicas": 4}}}) != ""
    assert flaw({"version": "v1"}) == ""


def test_a_pod_that_is_being_made_is_no_trouble() -> None:
    """Creating a container is not waiting in vain."""
    waiting = {"image": "x", "state": {"waiting": {"reason": "ContainerCreating"}}}
    pod = {"metadata": {"namespace": "n", "name": "p"}, "status": {"containerStatuses": [waiting]}}

    assert pod_state(pod) is None


def test_a_wrong_configuration_is_one_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is wrong in it, and what to do."""
    file = tmp_path / "gpujobs.toml"
    file.write_text("[targets.x]\nbackend = 1\n")
    monkeypatch.setenv("GPUJOBS_CONFIG", str(file))
    monkeypatch.setenv("GPUJOBS_STATE_DIR", str(tmp_path / "state"))

    troubles, _ = checkup("localhost", LocalShell)

    assert [trouble.what for trouble in troubles] == ["the configuration is wrong"]
    assert str(file) in troubles[0].why


def test_a_login_node_that_cannot_be_reached_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host of an ssh target is really tried, without a question."""
    file = tmp_path / "gpujobs.toml"
    file.write_text(
        '[targets.lab]\nbackend = "slurm"\ntransport = "ssh"\nhost = "nobody@127.0.0.1"\nssh_options = ["-p1"]\n'
    )
    monkeypatch.setenv("GPUJOBS_CONFIG", str(file))
    monkeypatch.setenv("GPUJOBS_STATE_DIR", str(tmp_path / "state"))

    troubles, _ = checkup("localhost", LocalShell, targets=("lab",))

    assert "nobody@127.0.0.1, the host of the target lab, cannot be reached" in troubles[0].what
    assert of_target("lab").host == "nobody@127.0.0.1"
    assert list(of_target("lab").checkups) == ["gpujobs", "Slurm"]


def test_an_open_submission_of_yesterday_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outcome is not known; the command that settles it is named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPUJOBS_STATE_DIR", str(tmp_path))
    (tmp_path / "open").mkdir()
    entry = '{"key": "k1", "target": "lab", "spec_hash": "x", "began_at": 1.0, "spec": {}}'
    (tmp_path / "open/a.json").write_text(entry)

    troubles, _ = checkup("localhost", LocalShell, targets=())

    assert [trouble.what for trouble in troubles] == ["1 submissions were begun and their outcome is not known"]
    assert "gpujobs submit --resume" in troubles[0].advice


def test_the_file_system_of_a_path_is_the_deepest_mount() -> None:
    """A home on NFS below a local root; a path that only begins alike is not below it."""
    mounts = "/dev/vda / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\n"

    assert filesystem("/home/alice/.local", mounts) == "nfs4"
    assert filesystem("/homes", mounts) == "ext4"


def test_another_machine_is_not_asked_for_our_configuration() -> None:
    """What is of gpujobs itself is looked at on this machine only."""
    assert "gpujobs" in of_host("localhost").checkups
    assert "gpujobs" not in of_host("gpu01").checkups
