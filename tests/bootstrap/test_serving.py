"""The lesson's vLLM service as a workload, and the ServiceMonitors for it."""

import argparse
import importlib.util
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from gpujobs import GpuService
from gpujobs.bootstrap._cli import app

EXAMPLE = Path(__file__).parents[2] / "examples/vllm.py"
# The lesson's Deployment and Service, reduced to what they ask for.
LESSON = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm}
spec:
  replicas: 2
  template:
    spec:
      containers:
        - name: vllm
          image: nvcr.io/nvidia/vllm:25.09-py3
          command: [vllm, serve, /models/Qwen3-8B-NVFP4]
          args: [--quantization, modelopt, --host, 0.0.0.0, --port, "8002", --gpu-memory-utilization, "0.4",
                 --max-model-len, "4096", --trust-remote-code]
          ports: [{containerPort: 8002, name: http}]
          resources: {limits: {nvidia.com/gpu: 1}}
          readinessProbe: {httpGet: {path: /health, port: 8002}, initialDelaySeconds: 45, periodSeconds: 10}
          volumeMounts: [{name: models, mountPath: /models}]
      volumes: [{name: models, hostPath: {path: /mnt/models}}]
---
apiVersion: v1
kind: Service
metadata: {name: vllm}
spec: {type: NodePort, ports: [{port: 8000, targetPort: 8002, nodePort: 30080, name: http}]}
"""


def example(**changes: Any) -> GpuService:
    """The service of the example, with its defaults."""
    loading = importlib.util.spec_from_file_location("vllm_example", EXAMPLE)
    assert loading is not None
    assert loading.loader is not None
    module = importlib.util.module_from_spec(loading)
    loading.loader.exec_module(module)
    given = {
        "model": "Qwen3-8B-NVFP4", "models": "/mnt/models", "claim": None, "image": "nvcr.io/nvidia/vllm:25.09-py3",
        "replicas": 2, "memory_share": 0.4, "node_port": 30080,
    }  # fmt: skip
    built: GpuService = module.service(argparse.Namespace(**{**given, **changes}))
    return built


def test_the_example_is_the_lessons_deployment() -> None:
    """Every field of the lesson's manifests is one of the example's."""
    deployment, service = yaml.safe_load_all(LESSON)
    pod = deployment["spec"]["template"]["spec"]
    (container,), probe = pod["containers"], pod["containers"][0]["readinessProbe"]
    mine = example()

    assert (mine.image, list(mine.command), list(mine.args)) == (
        container["image"],
        container["command"],
        container["args"],
    )
    assert mine.replicas == deployment["spec"]["replicas"]
    assert mine.gpus is not None
    assert {"nvidia.com/gpu": mine.gpus.count} == container["resources"]["limits"]
    assert [(v.host, v.path) for v in mine.volumes] == [(pod["volumes"][0]["hostPath"]["path"], "/models")]
    assert mine.readiness is not None
    assert (mine.readiness.path, mine.readiness.port) == (probe["httpGet"]["path"], probe["httpGet"]["port"])
    assert (mine.readiness.delay, mine.readiness.period) == (timedelta(seconds=45), timedelta(seconds=10))
    assert [(p.port, p.target_port, p.node_port) for p in mine.ports] == [
        (p["port"], p["targetPort"], p["nodePort"]) for p in service["spec"]["ports"]
    ]
    assert (mine.expose, service["spec"]["type"]) == ("node-port", "NodePort")


def test_a_claim_takes_the_place_of_a_directory() -> None:
    """Exactly one source of the model."""
    (volume,) = example(claim="models-pvc").volumes

    assert (volume.claim, volume.host) == ("models-pvc", None)


def test_service_monitors_are_printed() -> None:
    """Two documents, with the label that the Prometheus operator looks for, and nothing is applied."""
    printed = CliRunner().invoke(app, ["monitoring", "--namespace", "ml"]).stdout

    vllm, dcgm = yaml.safe_load_all(printed)

    assert vllm["metadata"] == {"name": "vllm-metrics", "namespace": "ml", "labels": {"release": "kube-prom-stack"}}
    assert vllm["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == "vllm"
    assert dcgm["spec"]["selector"] == {"matchLabels": {"app": "nvidia-dcgm-exporter"}}
    assert [endpoint["port"] for endpoint in dcgm["spec"]["endpoints"]] == ["gpu-metrics"]
