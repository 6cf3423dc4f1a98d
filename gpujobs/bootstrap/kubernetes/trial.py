"""Pods that are sent to a node to see whether they get a GPU, all at once, and are taken away again."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpujobs.bootstrap.kubernetes.cluster import dig, rows, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gpujobs.bootstrap.kubernetes.cluster import Cluster

IMAGE = "nvidia/cuda:13.0.2-runtime-ubuntu24.04"
_LABEL = "gpujobs-verify"
# They stay until all run: pods that come one after the other would not prove that a GPU is shared.
_SCRIPT = "nvidia-smi -L && sleep 600"


@dataclass(frozen=True)
class Trial:
    """Some pods on one node, each with one GPU unit.

    Attributes:
        resource: What each asks for: ``nvidia.com/gpu``.
        count: How many have to run at once.
        runtime_class: Where the cluster has one for GPUs.
        timeout_s: How long they may take, the pull of the image included.
    """

    node: str
    resource: str
    count: int = 1
    image: str = IMAGE
    runtime_class: str = ""
    namespace: str = "default"
    timeout_s: float = 300

    def manifest(self, name: str) -> dict[str, Any]:
        """The Job; it ends by itself if nobody takes it away."""
        container = {
            "name": "nvidia-smi",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", _SCRIPT],
            "resources": {"limits": {self.resource: "1"}},
        }
        pod: dict[str, Any] = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"kubernetes.io/hostname": self.node},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "containers": [container],
        }
        if self.runtime_class:
            pod["runtimeClassName"] = self.runtime_class
        spec = {
            "parallelism": self.count,
            "completions": self.count,
            "backoffLimit": 0,
            "activeDeadlineSeconds": 900,
            "ttlSecondsAfterFinished": 60,
            "template": {"metadata": {"labels": {_LABEL: name}}, "spec": pod},
        }
        metadata = {"name": name, "namespace": self.namespace, "labels": {_LABEL: name}}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        running: How many ran at the same time.
        gpus: Per pod the lines of ``nvidia-smi -L``.
        why: Why not all of them ran, or "".
    """

    running: int
    gpus: Sequence[str]
    why: str = ""

    @property
    def uuids(self) -> list[str]:
        """The GPU of each pod that saw exactly one."""
        return [text.partition("UUID: ")[2].partition(")")[0] for text in self.gpus if text.count("UUID: ") == 1]


def run_trial(
    cluster: Cluster,
    trial: Trial,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Send the pods, wait until all run, read what they printed, and take them away.

    Raises:
        UnavailableError: The cluster cannot be reached.
        CommandFailedError: It does not accept them.
    """
    name = f"{_LABEL}-{secrets.token_hex(4)}"
    words = (name, "-n", trial.namespace)
    cluster.do(cluster.kubectl("apply", "-f", "-"), stdin=json.dumps(trial.manifest(name)).encode())
    try:
        return _watch(cluster, trial, name, sleep, clock)
    finally:
        cluster.ask(cluster.kubectl("delete", "job", *words, "--ignore-not-found", "--cascade=foreground"))


def _watch(
    cluster: Cluster, trial: Trial, name: str, sleep: Callable[[float], None], clock: Callable[[], float]
) -> Outcome:
    end, outcome = clock() + trial.timeout_s, Outcome(0, ())
    while clock() < end:
        pods = cluster.items("pods", "-n", trial.namespace, "-l", f"{_LABEL}={name}")
        running = [pod for pod in pods if dig(pod, "status", "phase") == "Running"]
        outcome = Outcome(len(running), (), why_not(pods))
        if len(running) == trial.count:
            gpus = [_log(cluster, trial, pod) for pod in running]
            if all("UUID: " in text for text in gpus):
                return Outcome(len(running), gpus)
        if any(dig(pod, "status", "phase") in {"Failed", "Succeeded"} for pod in pods):
            return Outcome(len(running), [_log(cluster, trial, pod) for pod in pods], outcome.why)
        sleep(0.5)
    return outcome


def _log(cluster: Cluster, trial: Trial, pod: Mapping[str, Any]) -> str:
    return cluster.ask(cluster.kubectl("logs", str(dig(pod, "metadata", "name")), "-n", trial.namespace)).text


def why_not(pods: Sequence[Mapping[str, Any]]) -> str:
    """Why the first pod that does not run does not, as a pure function."""
    for pod in pods:
        if dig(pod, "status", "phase") == "Running":
            continue
        for container in rows(pod, "status", "containerStatuses"):
            stopped = table(container, "state", "waiting") or table(container, "state", "terminated")
            if stopped.get("reason") not in {None, "ContainerCreating"}:
                return f"{stopped['reason']}: {stopped.get('message', '')}".rstrip(": ")
        conditions = rows(pod, "status", "conditions")
        said = [str(c["message"]) for c in conditions if c.get("status") == "False" and c.get("message")]
        return str(dig(pod, "status", "message") or next(iter(said), "") or dig(pod, "status", "phase"))
    return "" if pods else "no pod was made: the namespace may have a quota"
