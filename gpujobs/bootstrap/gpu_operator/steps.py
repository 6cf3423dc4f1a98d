"""The steps to a GPU Operator that works."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap import files
from gpujobs.bootstrap.errors import BootstrapError
from gpujobs.bootstrap.kubernetes.cluster import Cluster
from gpujobs.bootstrap.kubernetes.facts import POLICY
from gpujobs.bootstrap.shell import checked
from gpujobs.bootstrap.step import Finding, Undone
from gpujobs.bootstrap.steps import Command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.gpu_operator.wish import OperatorWish
    from gpujobs.bootstrap.kubernetes.access import Access
    from gpujobs.bootstrap.step import Machine

DROP_IN = "/etc/containerd/conf.d/00-nvidia.toml"
REPOSITORY = "nvidia"


def repository_steps(host: str, access: Access, wish: OperatorWish) -> tuple[Command, ...]:
    """Have the chart of that version at hand; nothing where it is a file or comes from an OCI registry."""
    if wish.chart or wish.repository.startswith("oci:"):
        return ()
    helm, chart = access.helm, f"{REPOSITORY}/gpu-operator"
    return (
        Command(
            host,
            "Know the chart repository of NVIDIA",
            "helm-repository",
            probe=(*helm, "repo", "list", "-o", "yaml"),
            expect=rf"name: {REPOSITORY}\n.*url: {wish.repository}$",
            run=((*helm, "repo", "add", REPOSITORY, wish.repository),),
            undo_run=((*helm, "repo", "remove", REPOSITORY),),
        ),
        Command(
            host,
            f"Have version {wish.version} of the chart at hand",
            "helm-chart",
            probe=(*helm, "show", "chart", chart, f"--version={wish.version}"),
            run=((*helm, "repo", "update", REPOSITORY),),
        ),
    )


@dataclass(frozen=True)
class DropIn:
    """A note whether containerd had NVIDIA's drop-in before. It is the first step, so an undo comes to it last."""

    kind: ClassVar[str] = "containerd-drop-in"
    host: str
    microk8s: bool
    title: str = "Note whether containerd has a drop-in of NVIDIA's"

    @property
    def key(self) -> str:
        """There is one."""
        return f"containerd-drop-in:{DROP_IN}"

    def commands(self) -> tuple[str, ...]:
        """Nothing is run."""
        return ()

    def check(self, machine: Machine) -> Finding:
        """Noted before."""
        return Finding(done=machine.journal.find(self.key) is not None)

    def apply(self, machine: Machine) -> None:
        """Note it."""
        existed = files.read(machine.shell, DROP_IN) is not None
        machine.journal.begin(self.key, self.kind, self.title, {"existed": existed, "microk8s": self.microk8s})

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Take away a drop-in that came later, and have the containerd of this Kubernetes read its files anew."""
        for argv in restart_commands(machine, data):
            checked(machine.shell, argv, timeout_s=300)
        return Undone(f"{DROP_IN} stays: it was there before" if data["existed"] else "")


def restart_commands(machine: Machine, data: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What the undo of a drop-in runs: on microk8s only its own containerd is restarted, never Docker's."""
    mine = not data["existed"] and files.read(machine.shell, DROP_IN) is not None
    commands: list[tuple[str, ...]] = [("rm", "-f", DROP_IN)] if mine else []
    if data["microk8s"]:
        commands += [
            ("systemctl", "restart", "snap.microk8s.daemon-containerd.service"),
            ("microk8s", "stop"),
            ("microk8s", "start"),
        ]
    elif mine:
        commands.append(("systemctl", "restart", "containerd"))
    return commands


@dataclass(frozen=True)
class Ready:
    """The operator says of itself that all its parts are there. Nothing is made, so nothing is noted."""

    kind: ClassVar[str] = "operator-ready"
    host: str
    access: Access
    namespace: str
    timeout_s: int
    title: str = "Wait until the operator says it is ready"

    @property
    def key(self) -> str:
        """There is one."""
        return "operator-ready"

    def _wait(self, cluster: Cluster) -> tuple[str, ...]:
        wanted = "--for=jsonpath={.status.state}=ready"
        return cluster.kubectl("wait", wanted, POLICY, "--all", f"--timeout={self.timeout_s}s")

    def commands(self) -> tuple[str, ...]:
        """The wait."""
        words = ("wait", "--for=jsonpath={.status.state}=ready", POLICY, "--all", f"--timeout={self.timeout_s}s")
        return (shlex.join((*self.access.kubectl, *words)),)

    def check(self, machine: Machine) -> Finding:
        """Ask for the state of the ClusterPolicy."""
        found = Cluster(machine.shell, self.access).items(POLICY)
        states = [item.get("status", {}).get("state", "") for item in found]
        if not found:
            return Finding(done=False, why="there is no ClusterPolicy yet")
        return Finding(done=set(states) == {"ready"}, why=f"its state is {', '.join(states) or 'not known'}")

    def apply(self, machine: Machine) -> None:
        """Wait.

        Raises:
            BootstrapError: It is not ready in time; the message names the pods that are not.
        """
        cluster = Cluster(machine.shell, self.access)
        if cluster.ask(self._wait(cluster), timeout_s=self.timeout_s + 30).ok:
            return
        waiting = pods_not_ready(cluster, self.namespace)
        raise BootstrapError(
            f"The GPU Operator is not ready after {self.timeout_s} s: "
            + ("; ".join(waiting[:5]) or "its pods are ready, and it has not said so."),
            next_step="See `gpujobs doctor` for the cause; then run this again.",
        )

    @staticmethod
    def undo(_: Machine, _data: Mapping[str, Any]) -> Undone:
        """There is nothing to take back."""
        return Undone()


@dataclass(frozen=True)
class KubeletPath:
    """DCGM's exporter looks for the pods of a GPU where this kubelet keeps them."""

    kind: ClassVar[str] = "dcgm-kubelet-path"
    host: str
    access: Access
    namespace: str
    path: str
    title: str = "Show DCGM's exporter where the kubelet of microk8s is"

    @property
    def key(self) -> str:
        """There is one exporter."""
        return "dcgm-kubelet-path"

    def _patch(self) -> tuple[str, ...]:
        # By the name of the volume: its place in the list is another in every version.
        volume = {"name": "pod-gpu-resources", "hostPath": {"path": self.path}}
        patch = json.dumps({"spec": {"template": {"spec": {"volumes": [volume]}}}})
        words = ("patch", "daemonset", "nvidia-dcgm-exporter", "-n", self.namespace, "--type=strategic", "-p", patch)
        return (*self.access.kubectl, *words)

    def commands(self) -> tuple[str, ...]:
        """The patch."""
        return (shlex.join(self._patch()),)

    def check(self, machine: Machine) -> Finding:
        """Look at the volume."""
        found = Cluster(machine.shell, self.access).find("daemonset", "nvidia-dcgm-exporter", namespace=self.namespace)
        if found is None:
            return Finding(done=False, why="there is no DCGM exporter yet")
        volumes = found["spec"]["template"]["spec"].get("volumes", [])
        paths = [volume.get("hostPath", {}).get("path") for volume in volumes if volume["name"] == "pod-gpu-resources"]
        return Finding(done=paths == [self.path], why=f"it looks in {paths[0] if paths else 'no directory'}")

    def apply(self, machine: Machine) -> None:
        """Patch the DaemonSet; it goes with the release, so nothing is noted."""
        checked(machine.shell, self._patch())

    @staticmethod
    def undo(_: Machine, _data: Mapping[str, Any]) -> Undone:
        """The DaemonSet goes with the release."""
        return Undone()


def pods_not_ready(cluster: Cluster, namespace: str) -> list[str]:
    """The pods of a namespace that neither run and are ready nor have completed, each with the reason."""
    return [said for said in (unready(pod) for pod in cluster.items("pods", "-n", namespace)) if said]


def unready(pod: Mapping[str, Any]) -> str:
    """Why a pod is not ready, or "": a pure function of the Pod object."""
    status = pod.get("status", {})
    if status.get("phase") == "Succeeded":
        return ""
    conditions = {c["type"]: c for c in status.get("conditions", [])}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        state = container.get("state", {})
        stopped = state.get("waiting") or state.get("terminated")
        if stopped and stopped.get("reason") not in {"PodInitializing", "Completed", None}:
            message = f": {stopped['message']}" if stopped.get("message") else ""
            return f"{pod['metadata']['name']}: {container['name']} is {stopped['reason']}{message}"
    why = conditions.get("PodScheduled", {}).get("message") or status.get("message") or status.get("phase", "Unknown")
    return f"{pod['metadata']['name']}: {why}"
