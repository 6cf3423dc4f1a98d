"""Manifests that people already have, read as workloads and written back."""

from __future__ import annotations

from typing import Any

import pytest

from gpujobs import GpuJob, GpuService
from gpujobs.backend import Submission
from gpujobs.errors import SpecError
from gpujobs_kubernetes import KubernetesBackend
from gpujobs_kubernetes._facts import Facts, Site
from gpujobs_kubernetes._manifests import objects

from .by_hand import BANNER, SMI, VLLM

JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: train}
spec:
  backoffLimit: 2
  completions: 4
  parallelism: 2
  completionMode: Indexed
  activeDeadlineSeconds: 3600
  ttlSecondsAfterFinished: 60
  template:
    spec:
      restartPolicy: Never
      activeDeadlineSeconds: 600
      terminationGracePeriodSeconds: 5
      nodeSelector: {zone: a}
      tolerations:
      - {key: nvidia.com/gpu, operator: Exists}
      - {key: x, operator: Equal, value: "y", tolerationSeconds: 3}
      serviceAccountName: sa
      hostNetwork: true
      initContainers: [{name: init, image: i}]
      containers:
      - name: c
        image: i:1
        command: [sh, -c, "echo $(A) $$(A) $HOME"]
        env:
        - {name: A, value: "1"}
        - {name: B, value: "$(A)2"}
        - {name: N, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        resources: {limits: {nvidia.com/mig-1g.10gb: 2, memory: 24Gi, cpu: 2}, requests: {memory: 16Gi}}
        volumeMounts: [{name: shm, mountPath: /dev/shm}, {name: conf, mountPath: /etc/conf}, {name: s, mountPath: /s}]
      volumes:
      - {name: shm, emptyDir: {medium: Memory, sizeLimit: 4Gi}}
      - {name: conf, configMap: {name: settings}}
      - {name: s, secret: {secretName: hidden}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a.toml: "x = 1"}
"""


def read(text: str) -> tuple[GpuJob | GpuService, tuple[str, ...]]:
    """As the core reads it."""
    return KubernetesBackend.read_native(text, path="file.yaml")


def written(workload: GpuJob | GpuService) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The manifests that it becomes."""
    found = objects(
        Submission(workload, workload.name or "k", "h" * 64),
        Site("k", "default", Facts(runtime_class="nvidia")),
        inherited={},
        secrets={},
    )
    return found.main, list(found.children)


def test_the_nvidia_smi_deployment_comes_back_as_it_was() -> None:
    """But for NVIDIA_VISIBLE_DEVICES, and the RuntimeClass that the cluster decides; both are said."""
    service, lost = read(SMI)
    main, children = written(service)
    container = main["spec"]["template"]["spec"]["containers"][0]

    assert isinstance(service, GpuService)
    assert main["spec"]["replicas"] or main["metadata"]["annotations"]["gpujobs/replicas"] == "4"
    assert container["command"] == ["/bin/bash", "-c"]
    assert container["args"] == [BANNER.replace("$", "$$")]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    env = {e["name"]: e.get("value") for e in container["env"]}
    assert env["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert "NVIDIA_VISIBLE_DEVICES" not in env
    assert main["spec"]["template"]["spec"]["runtimeClassName"] == "nvidia"
    assert main["spec"]["template"]["metadata"]["labels"]["app"] == "nvidia-smi-test"
    assert (children[0]["spec"]["clusterIP"], children[0]["spec"]["ports"][0]["port"]) == ("None", 80)
    assert [line.split(":")[0] for line in lost] == [
        "namespace default",
        "env NVIDIA_VISIBLE_DEVICES",
        "runtimeClassName nvidia",
    ]


def test_the_vllm_deployment_comes_back_as_it_was() -> None:
    """Two copies, NodePort 30080 to 8002, the models of the host, the readiness probe."""
    service, lost = read(VLLM)
    main, children = written(service)
    pod = main["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert main["metadata"]["annotations"]["gpujobs/replicas"] == "2"
    assert container["command"] == ["vllm", "serve", "/models/Qwen3-8B-NVFP4"]
    assert container["args"][-3:] == ["--max-model-len", "4096", "--trust-remote-code"]
    assert container["ports"] == [{"name": "http", "containerPort": 8002, "protocol": "TCP"}]
    assert container["readinessProbe"] == {
        "httpGet": {"path": "/health", "port": 8002},
        "initialDelaySeconds": 45,
        "periodSeconds": 10,
    }
    assert pod["volumes"] == [{"name": "volume-0", "hostPath": {"path": "/mnt/models"}}]
    assert container["volumeMounts"] == [{"name": "volume-0", "mountPath": "/models"}]
    assert children[0]["spec"]["type"] == "NodePort"
    assert children[0]["spec"]["ports"] == [
        {"name": "http", "port": 8000, "targetPort": 8002, "protocol": "TCP", "nodePort": 30080}
    ]
    assert any("vllm-lb-service" in line for line in lost)


def test_a_job_with_everything() -> None:
    """What has a field is in it, what has none goes on as a patch, what cannot is said."""
    job, lost = read(JOB)

    assert isinstance(job, GpuJob)
    assert (job.name, job.retries, job.array, job.parallelism) == ("train", 2, 4, 2)
    assert job.command == ("sh", "-c", "echo 1 $(A) $HOME")
    assert job.env == {"A": "1", "B": "12"}
    assert job.gpus is not None
    assert (job.gpus.profile, job.gpus.count, job.cpus, job.memory, job.shm) == ("1g.10gb", 2, 2, 24 * 2**30, 4 * 2**30)
    assert job.files == {"/etc/conf/a.toml": b"x = 1"}
    assert (job.service_account, job.node_selector, job.grace.total_seconds()) == ("sa", {"zone": "a"}, 5)
    assert [t.key for t in job.tolerations] == ["x"]
    assert job.time_limit is not None
    assert job.deadline is not None
    assert (job.time_limit.total_seconds(), job.deadline.total_seconds()) == (600, 3600)
    patch = job.extra["kubernetes"]["spec"]
    assert patch["ttlSecondsAfterFinished"] == 60
    assert patch["template"]["spec"]["hostNetwork"] is True
    assert {line.split(":")[0] for line in lost} == {
        "init container init",
        "volume s at /s",
        "request memory 16Gi",
    }
    env = {e["name"]: e for e in written(job)[0]["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["N"]["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}


def test_a_pod_becomes_a_job() -> None:
    """What its restart policy meant is said."""
    job, lost = read(
        "kind: Pod\nmetadata: {name: p}\nspec: {restartPolicy: OnFailure, containers: [{name: c, image: i, args: [x]}]}"
    )

    assert isinstance(job, GpuJob)
    assert job.image == "i"
    assert "restartPolicy OnFailure" in lost[0]
    assert written(job)[0]["spec"]["template"]["spec"]["containers"][0]["args"] == ["x"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "YAML"),
        ("just text", "no Kubernetes manifest"),
        ("{kind: Service, metadata: {name: s}, spec: {}}", "0 workloads"),
        ("{kind: Pod, metadata: {name: a}, spec: {}}", "no container"),
        ("{kind: Job, metadata: {name: a}}", "no valid Job"),
        ("{kind: Pod, metadata: {name: a}}\n---\n{kind: Pod, metadata: {name: b}}", "2 workloads"),
        (
            "kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i, resources: {limits: {cpu: x}}}]}",
            "quantity",
        ),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str) -> None:
    """One clear error, whatever the text."""
    with pytest.raises(SpecError, match=said):
        read(text)
