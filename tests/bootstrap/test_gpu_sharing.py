"""What the device plugin and the operator are told: pure functions of the wish."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from gpujobs.bootstrap.gpu_sharing import Sharing, SharingWish
from gpujobs.bootstrap.gpu_sharing._cli import wish_of
from gpujobs.bootstrap.gpu_sharing.config import config_map, config_text, key_of, settings
from gpujobs.bootstrap.gpu_sharing.plugin import written
from gpujobs.bootstrap.gpu_sharing.sharing import expectations
from gpujobs.bootstrap.gpu_sharing.values import restored
from gpujobs.bootstrap.gpu_sharing.verify import judge
from gpujobs.bootstrap.kubernetes.facts import ClusterFacts, NodeFact
from gpujobs.bootstrap.kubernetes.trial import Outcome, Trial, why_not
from gpujobs.cli._errors import Misuse

NODE = NodeFact(name="n1", ready=True, labels={"nvidia.com/gpu.count": "1"})


def wish(**fields: Any) -> SharingWish:
    """A wish from plain values."""
    return SharingWish.model_validate(fields)


@pytest.mark.parametrize(
    ("sharing", "document"),
    [
        ("time-slice:4", {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}}),
        ("mps:2", {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 2}]}}),
        (
            {"mode": "time-slice", "replicas": 2, "rename": True, "refuse_several": True},
            {
                "timeSlicing": {
                    "renameByDefault": True,
                    "failRequestsGreaterThanOne": True,
                    "resources": [{"name": "nvidia.com/gpu", "replicas": 2}],
                }
            },
        ),
        ("none", None),
    ],
)
def test_the_device_plugin_is_told_in_its_own_words(sharing: Any, document: dict[str, Any] | None) -> None:
    """Version, manner, and the resources it would end without."""
    said = yaml.safe_load(config_text(Sharing.model_validate(sharing)))

    assert said == ({"version": "v1", "sharing": document} if document else {"version": "v1"})


def test_the_config_map_is_the_lessons() -> None:
    """Name, namespace and key of the lesson's file, and its four replicas."""
    manifest = config_map(wish(default="time-slice:4"), "gpu-operator")

    assert manifest["metadata"] == {"name": "time-slicing-config", "namespace": "gpu-operator"}
    assert list(manifest["data"]) == ["any"]
    assert settings(wish(default="time-slice:4")) == {
        "devicePlugin": {"config": {"name": "time-slicing-config", "default": "any"}}
    }


def test_a_node_of_its_own_has_a_key_of_its_own() -> None:
    """Nodes alike share one; without a default nobody else is concerned."""
    asked = wish(nodes={"n1": "time-slice:8", "n2": "time-slice:8", "n3": "none"})

    assert list(config_map(asked, "gpu-operator")["data"]) == ["time-slice-8", "none"]
    assert settings(asked)["devicePlugin"]["config"]["default"] == ""
    assert key_of(Sharing(replicas=2, rename=True, refuse_several=True)) == "time-slice-2-renamed-one-each"


@pytest.mark.parametrize("fields", [{}, {"default": "time-slice:1"}, {"default": "slices:4"}, {"nodes": {"n1": "mps"}}])
def test_a_wish_without_sense_is_refused(fields: dict[str, Any]) -> None:
    """Nothing at all, one share, and words that name no manner."""
    with pytest.raises(ValidationError):
        wish(**fields)


def test_a_node_hands_out_as_many_as_its_gpus_and_replicas() -> None:
    """Renamed shares count under their own name; nodes without a count, or cut in slices, are not foretold."""
    two = NODE.model_copy(update={"name": "n2", "labels": {"nvidia.com/gpu.count": "2"}})
    bare = NodeFact(name="n3", ready=True)
    facts = ClusterFacts(identity="x", nodes=(NODE, two, bare))
    renamed = {"mode": "time-slice", "replicas": 2, "rename": True}

    assert expectations(wish(default="time-slice:4", nodes={"n2": renamed}), facts) == {
        "n1": ("nvidia.com/gpu", 4),
        "n2": ("nvidia.com/gpu.shared", 4),
    }
    assert expectations(wish(default="time-slice:4", mig={"n1": "all-1g.10gb"}), facts).keys() == {"n2"}


@pytest.mark.parametrize(
    ("values", "before", "expected"),
    [
        ({"devicePlugin": {"config": {"name": "x"}}}, {"devicePlugin": {"config": None}}, {}),
        ({"mig": {"strategy": "mixed"}}, {"mig": {"strategy": "single"}}, {"mig": {"strategy": "single"}}),
        (
            {"a": 1, "devicePlugin": {"config": {}, "env": []}},
            {"devicePlugin": {"config": None}},
            {"a": 1, "devicePlugin": {"env": []}},
        ),
    ],
)
def test_values_go_back_and_others_stay(values: dict[str, Any], before: Any, expected: dict[str, Any]) -> None:
    """A key that was not there goes, one that was is set back, and what others gave meanwhile stays."""
    assert restored(values, before) == expected


UUID = "GPU 0: NVIDIA T4 (UUID: GPU-1)\n"


@pytest.mark.parametrize(
    ("outcome", "good"),
    [
        (Outcome(4, [UUID] * 4), True),
        (Outcome(3, [], "Insufficient nvidia.com/gpu"), False),
        (Outcome(4, [UUID] * 3 + [""]), False),
        (Outcome(4, [UUID.replace("GPU-1", f"GPU-{n}") for n in range(4)]), False),
    ],
)
def test_four_pods_have_to_be_on_the_one_gpu(outcome: Outcome, good: bool) -> None:  # noqa: FBT001
    """All at once, each with one GPU, and on no more GPUs than there are."""
    assert judge(NODE, 4, 4, outcome).ok is good


def test_the_trial_asks_for_one_unit_and_nothing_else() -> None:
    """No NVIDIA_VISIBLE_DEVICES, which would show it every GPU; the RuntimeClass only where there is one."""
    manifest = Trial("n1", "nvidia.com/gpu", 4, runtime_class="nvidia").manifest("x")
    pod = manifest["spec"]["template"]["spec"]

    assert pod["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert "env" not in pod["containers"][0]
    assert pod["runtimeClassName"] == "nvidia"
    assert manifest["spec"]["parallelism"] == manifest["spec"]["completions"] == 4


def test_why_pods_do_not_run() -> None:
    """In the scheduler's or the kubelet's words; without any pod a quota is the likely cause."""
    pending = {"phase": "Pending", "conditions": [{"status": "False", "message": "Insufficient nvidia.com/gpu"}]}

    assert why_not([{"status": pending}]) == "Insufficient nvidia.com/gpu"
    assert "quota" in why_not([])


def test_options_become_a_wish() -> None:
    """Time-slicing for all, another number for one node; both manners at once are refused."""
    asked = wish(**wish_of(time_slice=4, node=["n1=time-slice:8", "n2=none"], rename=True))

    assert asked.default == Sharing(replicas=4, rename=True)
    assert asked.nodes == {"n1": Sharing(replicas=8, rename=True), "n2": Sharing(mode="none", replicas=1)}
    assert wish_of() == {}
    with pytest.raises(Misuse, match="not both"):
        wish_of(time_slice=4, mps=2)
    with pytest.raises(Misuse, match="no NAME=VALUE"):
        wish_of(node=["n1"])


def test_when_a_config_map_was_written() -> None:
    """The youngest write of its data counts, not its creation."""
    fields: list[dict[str, Any]] = [
        {"time": "2026-11-24T06:00:00Z", "fieldsV1": {"f:data": {}}},
        {"time": "2026-11-24T07:00:00Z", "fieldsV1": {"f:data": {}}},
        {"time": "2026-11-24T08:00:00Z", "fieldsV1": {"f:metadata": {}}},
    ]
    metadata: dict[str, Any] = {"creationTimestamp": "2026-11-24T05:00:00Z", "managedFields": fields}

    assert written({"metadata": metadata}).hour == 7
    assert written({"metadata": {"creationTimestamp": "2026-11-24T05:00:00Z"}}).hour == 5
