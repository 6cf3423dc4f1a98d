"""Quantities, capacity, what fits where, and the sentence about it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from gpujobs import Gpu, Reason, Ref, State, Status
from gpujobs.reasons import Cause
from gpujobs_kubernetes._capacity import capacity_of, held
from gpujobs_kubernetes._explain import explanation
from gpujobs_kubernetes._facts import Facts, NodeFacts, node_facts, parse_version
from gpujobs_kubernetes._fit import misfit
from gpujobs_kubernetes._preflight import refusal
from gpujobs_kubernetes._quantity import bytes_text, cpu_text, parse, whole

REF = Ref("kubernetes", "k", "ns/job/j")
BIG = NodeFacts("big", {"nvidia.com/gpu": 8}, {"nvidia.com/gpu.product": "H100", "zone": "a"}, cpus=64, memory=2**40)
SMALL = NodeFacts(
    "small",
    {"nvidia.com/gpu": 4},
    {
        "nvidia.com/gpu.product": "T4-SHARED",
        "nvidia.com/gpu.sharing-strategy": "time-slicing",
        "nvidia.com/gpu.replicas": "4",
        "nvidia.com/gpu.memory": "15360",
    },
)


def pod(gpus: int = 0, **spec: Any) -> dict[str, Any]:
    """The spec of a pod."""
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {"containers": [{"resources": {"limits": limits, "requests": spec.pop("requests", {})}}], **spec}


@pytest.mark.parametrize(
    ("text", "number"),
    [("2", 2), ("500m", 0.5), ("16Gi", 2**34), ("1e3", 1000), ("1.5k", 1500), ("1E", 10**18), (".5", 0.5)],
)
def test_quantities_are_read(text: str, number: float) -> None:
    """Every suffix of the API."""
    assert parse(text) == number


def test_quantities_are_written_exactly_and_nonsense_is_nothing() -> None:
    """The shortest that means the same; CPUs are rounded up to thousandths."""
    assert [bytes_text(n) for n in (2**30, 3 * 2**20, 500_000_000, 2**40)] == ["1Gi", "3Mi", "500000000", "1Ti"]
    assert [cpu_text(n) for n in (1, 1.5, 0.0001, 0.1)] == ["1", "1500m", "1m", "100m"]
    assert whole("x") == 0


@pytest.mark.parametrize(("minor", "version"), [("36", (1, 36)), ("28+", (1, 28)), ("", (1, 99))])
def test_versions_are_read(minor: str, version: tuple[int, int]) -> None:
    """Vendors write more than a number."""
    assert parse_version({"major": "1", "minor": minor}) == version


def test_capacity_counts_what_pods_hold() -> None:
    """Ended pods hold nothing; a node that takes no new work says why."""
    node = {
        "metadata": {"name": "n", "labels": {"nvidia.com/gpu.product": "A"}},
        "spec": {"unschedulable": True},
        "status": {"allocatable": {"nvidia.com/gpu": "4", "nvidia.com/mig-1g.10gb": "7", "cpu": "3500m"}},
    }
    pods = [
        {"spec": {"nodeName": "n", **pod(3)}, "status": {"phase": "Running"}},
        {"spec": {"nodeName": "n", **pod(1)}, "status": {"phase": "Failed"}},
        {"spec": pod(1), "status": {"phase": "Pending"}},
    ]
    found = capacity_of([node_facts(node), SMALL], held(pods))

    assert [(g.node, g.type, g.total, g.free, g.sharing, g.copies) for g in found.gpus] == [
        ("n", "A", 4, 1, "exclusive", 1),
        ("n", "1g.10gb", 7, 7, "mig", 1),
        ("small", "T4-SHARED", 4, 4, "time-slice", 4),
    ]
    assert [g.note for g in found.gpus] == ["cordoned", "cordoned", ""]
    assert found.free == 4
    assert "not isolated" in found.notes[0]


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        (pod(8), True),
        (pod(9), False),
        (pod(nodeSelector={"zone": "a"}), True),
        (pod(nodeSelector={"zone": "b"}), False),
        (pod(requests={"cpu": "65"}), False),
        (pod(requests={"memory": "2Ti"}), False),
    ],
)
def test_what_can_ever_run_on_a_node(spec: dict[str, Any], fits: bool) -> None:  # noqa: FBT001  # the answer
    """However empty it is."""
    assert (misfit(spec, BIG) == "") is fits


@pytest.mark.parametrize(
    ("term", "fits"),
    [
        ({"key": "n", "operator": "In", "values": ["5"]}, True),
        ({"key": "n", "operator": "NotIn", "values": ["5"]}, False),
        ({"key": "m", "operator": "NotIn", "values": ["5"]}, True),
        ({"key": "n", "operator": "Gt", "values": ["4"]}, True),
        ({"key": "n", "operator": "Lt", "values": ["4"]}, False),
        ({"key": "m", "operator": "Gt", "values": ["4"]}, False),
        ({"key": "n", "operator": "Exists"}, True),
        ({"key": "m", "operator": "DoesNotExist"}, True),
        ({"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["x"]}, False),
    ],
)
def test_affinity_is_read_as_the_scheduler_reads_it(term: dict[str, Any], fits: bool) -> None:  # noqa: FBT001  # the answer
    """Every operator."""
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}
        }
    }

    assert (misfit(pod(affinity=affinity), NodeFacts("x", {}, {"n": "5"})) == "") is fits


def test_taints_keep_pods_away_unless_tolerated() -> None:
    """By key and value, by key alone, or all."""
    node = NodeFacts("x", {}, {}, taints=({"key": "k", "value": "v", "effect": "NoSchedule"},))

    assert "taint k" in misfit(pod(), node)
    for toleration in ({"operator": "Exists"}, {"key": "k", "operator": "Exists"}, {"key": "k", "value": "v"}):
        assert misfit(pod(tolerations=[toleration]), node) == ""
    assert misfit(pod(tolerations=[{"key": "k", "value": "w"}]), node)


def test_the_sentence_has_the_numbers() -> None:
    """Needed, free, where; each node with its own."""
    cause = Cause(Reason.INSUFFICIENT_GPU, "Told.", "Wait.")
    status = Status(REF, State.PENDING, reason=cause)
    found = explanation(
        status, pod(2), nodes=[BIG, SMALL], taken=Counter({("big", "nvidia.com/gpu"): 7}), quotas=[], events=[]
    )

    assert (
        "It needs 2 nvidia.com/gpu on one node; 5 of 12 are free on 2 fitting nodes, at most 4 on one (small)."
        in str(found)
    )
    assert found.details[:2] == (
        "big (H100): 1 of 8 nvidia.com/gpu free",
        "small (T4-SHARED): 4 of 4 nvidia.com/gpu free",
    )
    assert any("not isolated" in detail for detail in found.details)


def test_preflight_refuses_what_can_never_run_and_nothing_else() -> None:
    """With what would be possible; without nodes in sight it refuses nothing."""
    facts = Facts(nodes=(BIG, SMALL))

    assert refusal(pod(8), Gpu(8), facts) is None
    assert refusal(pod(9), Gpu(9), Facts()) is None
    error = refusal(pod(9), Gpu(9), facts)
    assert error is not None
    assert "no node has more than 8" in error.message
    assert "8 nvidia.com/gpu" in error.next_step


@pytest.mark.parametrize("key", ["node.kubernetes.io/unreachable", "node.kubernetes.io/disk-pressure"])
def test_a_taint_that_passes_only_keeps_pods_waiting(key: str) -> None:
    """A node out of reach or under pressure takes no pod now, but may later: preflight lets the job wait for it."""
    told = {"spec": {"taints": [{"key": key, "effect": "NoSchedule"}]}, "status": {"allocatable": BIG.gpus}}
    node = node_facts({"metadata": {"name": "n"}, **told})

    assert refusal(pod(8), Gpu(8), Facts(nodes=(node,))) is None
    assert key in node.unready
