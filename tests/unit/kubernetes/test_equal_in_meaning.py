"""Deployments as people write them by hand, and the same as calls of gpujobs: equal in meaning.

But for NVIDIA_VISIBLE_DEVICES, which is the device plugin's to set, and for the RuntimeClass, which follows from the
cluster.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gpujobs import Gpu, GpuService, Port, Probe, Volume
from gpujobs.backend import Submission
from gpujobs_kubernetes._facts import Facts, Site
from gpujobs_kubernetes._launch import unescape
from gpujobs_kubernetes._manifests import objects

from .by_hand import BANNER, SMI, VLLM

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/vllm.py"
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
"""What Kubernetes fills in."""


def meaning(deployment: Mapping[str, Any], service: Mapping[str, Any]) -> dict[str, Any]:
    """What the two make a cluster do: names of parts, what is filled in, and what gpujobs keeps for itself left out."""
    spec, pods = deployment["spec"], deployment["spec"]["template"]
    pod, container = pods["spec"], pods["spec"]["containers"][0]
    notes = deployment["metadata"].get("annotations", {})
    sources = {v["name"]: {k: x for k, x in v.items() if k != "name"} for v in pod.get("volumes", [])}
    limits = {k: str(v) for k, v in container["resources"]["limits"].items()}
    ours = ("GPUJOBS_", "MASTER_", "NVIDIA_VISIBLE_DEVICES")
    return {
        "copies": int(notes.get("gpujobs/replicas", spec["replicas"])),
        "containers": len(pod["containers"]),
        "image": container["image"],
        "words": [unescape(w) for w in (*container["command"], *container.get("args", ()))],
        "env": {e["name"]: e["value"] for e in container.get("env", ()) if not e["name"].startswith(ours)},
        "limits": limits,
        "requests": {**limits, **{k: str(v) for k, v in container["resources"].get("requests", {}).items()}},
        "readiness": {**PROBE, **container["readinessProbe"]} if "readinessProbe" in container else None,
        "mounts": {m["mountPath"]: (sources[m["name"]], m.get("readOnly", False)) for m in container["volumeMounts"]}
        if "volumeMounts" in container
        else {},
        "runtime": pod.get("runtimeClassName"),
        "restart": pod.get("restartPolicy", "Always"),
        "selects its pods": spec["selector"]["matchLabels"].items() <= pods["metadata"]["labels"].items(),
        "reached": service["spec"]["selector"].items() <= pods["metadata"]["labels"].items(),
        "kind": (service["spec"].get("type", "ClusterIP"), service["spec"].get("clusterIP")),
        "ports": [
            (p["port"], p.get("targetPort", p["port"]), p.get("protocol", "TCP"), p.get("nodePort"), p.get("name"))
            for p in service["spec"]["ports"]
        ],
    }


def by_hand(text: str) -> dict[str, Any]:
    """The meaning of a manifest."""
    deployment, service = yaml.safe_load_all(text)
    return meaning(deployment, service)


def by_call(service: GpuService, *, runtime_class: str | None = "nvidia") -> dict[str, Any]:
    """The meaning of what a service becomes."""
    item = Submission(service, service.name or "", "h" * 64)
    made = objects(item, Site("k", "default", Facts(runtime_class=runtime_class)), inherited={}, secrets={})
    return meaning(made.main, made.children[0])


def example() -> GpuService:
    """What ``examples/vllm.py`` submits when it is given no options."""
    spec = importlib.util.spec_from_file_location("vllm_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.service(module.arguments([]))
    assert isinstance(made, GpuService)
    return made


CALLS = {
    "nvidia-smi": (
        SMI,
        GpuService(
            name="nvidia-smi-test",
            image="nvidia/cuda:13.0.2-runtime-ubuntu24.04",
            command=["/bin/bash", "-c", BANNER],
            env={"NVIDIA_DRIVER_CAPABILITIES": "compute,utility"},
            replicas=4,
            gpus=1,
            ports=[80],
            expose="headless",
        ),
    ),
    "vllm": (
        VLLM,
        GpuService(
            name="vllm-cluster",
            image="nvcr.io/nvidia/vllm:25.09-py3",
            command=["vllm", "serve", "/models/Qwen3-8B-NVFP4", "--quantization", "modelopt"],
            args=[
                *("--host", "0.0.0.0", "--port", "8002"),  # noqa: S104  # inside its pod
                *("--gpu-memory-utilization", "0.4", "--max-model-len", "4096", "--trust-remote-code"),
            ],
            replicas=2,
            gpus=Gpu(1),
            volumes=[Volume("/models", host="/mnt/models")],
            ports=[Port(8000, target_port=8002, node_port=30080, name="http")],
            readiness=Probe("/health", port=8002, delay=45, period=10),
        ),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_means_what_the_manifest_means(name: str) -> None:
    """Copies, container, GPUs, probes, volumes, Service: all of it."""
    text, call = CALLS[name]

    assert by_call(call) == by_hand(text)


def test_the_example_serves_what_the_manifest_serves() -> None:
    """``examples/vllm.py`` without options."""
    assert by_call(example()) == by_hand(VLLM)


def test_without_that_runtime_class_none_is_asked_for() -> None:
    """Where NVIDIA's runtime is the nodes' default there is none, and naming one would keep pods from starting."""
    text, call = CALLS["vllm"]

    assert by_call(call, runtime_class=None) == {**by_hand(text), "runtime": None}


@pytest.mark.parametrize("change", [{"replicas": 3}, {"gpus": 2}, {"readiness": None}, {"expose": "cluster-ip"}])
def test_what_differs_is_not_equal(change: dict[str, Any]) -> None:
    """The comparison sees each of these."""
    text, call = CALLS["vllm"]
    if change.get("expose"):
        change = {**change, "ports": [Port(8000, target_port=8002, name="http")]}

    assert by_call(call.replace(**change)) != by_hand(text)
