"""The GPU Operator of a cluster as its owner handles it: plan, apply, verify, undo."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import yaml

from gpujobs.bootstrap import engine
from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.gpu_operator import preflight
from gpujobs.bootstrap.gpu_operator.probes import gather_host
from gpujobs.bootstrap.gpu_operator.release import HelmRelease
from gpujobs.bootstrap.gpu_operator.removal import Removal
from gpujobs.bootstrap.gpu_operator.steps import (
    REPOSITORY,
    DropIn,
    KubeletPath,
    Ready,
    repository_steps,
    restart_commands,
)
from gpujobs.bootstrap.gpu_operator.values import KUBELET_VALUE_SINCE, MICROK8S_KUBELET, helm_values, merge
from gpujobs.bootstrap.gpu_operator.wish import OperatorWish, release_of
from gpujobs.bootstrap.kubernetes.access import Access, Which, choose
from gpujobs.bootstrap.kubernetes.cluster import Cluster
from gpujobs.bootstrap.kubernetes.facts import gather_cluster
from gpujobs.bootstrap.kubernetes.managed import ManagedInCluster
from gpujobs.bootstrap.kubernetes.place import machine_for, place_of
from gpujobs.bootstrap.plan import Plan
from gpujobs.bootstrap.steps import UNDOERS as BASIC_UNDOERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujobs.bootstrap.engine import Applied, OnEvent, TakenBack, Undoer
    from gpujobs.bootstrap.gpu_operator.probes import HostFacts
    from gpujobs.bootstrap.kubernetes.facts import ClusterFacts
    from gpujobs.bootstrap.shell import Argv, Shell
    from gpujobs.bootstrap.step import Step

UNDOERS: Mapping[str, Undoer] = {**BASIC_UNDOERS, HelmRelease.kind: HelmRelease.undo, DropIn.kind: DropIn.undo}


class GpuOperator(ManagedInCluster[OperatorWish]):
    """The GPU Operator of one cluster.

    Args:
        host: The machine whose kubectl and helm are used, as a person calls it.
        shell: How to reach it.
        which: Which cluster is meant.

    Raises:
        RefusedError: The machine has no kubectl.
        UnavailableError: The machine or the cluster cannot be reached.
    """

    def __init__(self, host: str, shell: Shell, which: Which | None = None) -> None:
        cluster = Cluster(shell, choose(shell, which or Which()))
        super().__init__(host, cluster, place_of(shell), what="gpu-operator", read=OperatorWish.model_validate)

    @property
    def access(self) -> Access:
        """How kubectl and helm are called."""
        return self.cluster.access

    def plan(self, wish: OperatorWish) -> Plan:
        """What there is to do.

        Raises:
            RefusedError: It cannot work, or would take over what somebody else manages.
        """
        self._require_helm()
        facts = gather_cluster(self.cluster)
        preflight.refuse(wish, facts, ours=self._at_work(wish))
        host = gather_host(self.machine.shell, facts)
        version = self._chart_version(wish)
        steps = self._steps(wish, facts, host, version)
        warned = list(preflight.warnings(wish, host, version))
        return Plan(self.what, {self.host: self.machine}, steps, wish.model_dump(mode="json"), warned)

    def apply(self, wish: OperatorWish, *, on_event: OnEvent = engine.unwatched) -> Applied:
        """Do what is missing, and wait until the operator is ready.

        Raises:
            StepFailedError: A step failed; another apply goes on from there.
        """
        return self.carry_out(self.plan(wish), on_event=on_event)

    def undo(self, *, on_event: OnEvent = engine.unwatched) -> TakenBack:
        """Take back what was made, and nothing else.

        Raises:
            RefusedError: Nothing was made from here.
            StepFailedError: Something would not go; another undo goes on from there.
        """
        if not len(self.machine.journal):
            raise RefusedError(
                f"No bootstrap of gpujobs on {self.host} has installed a GPU Operator in this cluster.",
                next_step="Remove one that was installed otherwise with helm: `helm list -A` names it.",
            )
        sharing = machine_for(self.host, self.machine.shell, f"gpu-sharing-{self.cluster.identity()}", self.place)
        if len(sharing.journal):
            raise RefusedError(
                "The GPUs are shared by gpujobs, and that needs this operator.",
                next_step="Take that back first: `gpujobs bootstrap gpu-sharing undo`.",
            )
        return engine.undo({self.host: self.machine}, UNDOERS, on_event=on_event, lock_file=self.place.lock_file)

    def removal(self) -> list[str]:
        """The commands an undo would run, to be shown first."""
        shown: list[Argv] = []
        for entry in reversed(tuple(self.machine.journal)):
            if entry.kind == HelmRelease.kind:
                shown += self._release_removal(entry.data)
            elif entry.kind == DropIn.kind:
                shown += restart_commands(self.machine, entry.data)
            else:
                shown += [tuple(argv) for argv in entry.data.get("undo", [])]
        return [shlex.join(argv) for argv in shown]

    def _release_removal(self, data: Mapping[str, object]) -> Sequence[Argv]:
        if data["revision"]:
            words = (str(data["release"]), str(data["revision"]), "-n", str(data["namespace"]))
            return (self.cluster.helm("rollback", *words),)
        return Removal.from_json(data).commands(self.cluster)

    def _steps(self, wish: OperatorWish, facts: ClusterFacts, host: HostFacts, version: str) -> tuple[Step, ...]:
        access, before = self.access, facts.release
        wanted = helm_values(wish, host, microk8s=access.microk8s, version=version)
        release = HelmRelease(
            self.host,
            f"Install the GPU Operator {version}",
            access,
            wish.release,
            wish.namespace,
            chart_of(wish),
            version,
            from_file=bool(wish.chart),
            values=merge(before.values if before else {}, wanted),
            recover=self._recovery(facts),
        )
        drop_in = (DropIn(self.host, access.microk8s),) if host.a_node and self.place.user == "root:root" else ()
        patched = access.microk8s and wish.monitoring and release_of(version) < KUBELET_VALUE_SINCE
        path = f"{MICROK8S_KUBELET}/pod-resources"
        kubelet = (KubeletPath(self.host, access, wish.namespace, path),) if patched else ()
        ready = Ready(self.host, access, wish.namespace, wish.ready_s)
        return (*drop_in, *repository_steps(self.host, access, wish), release, ready, *kubelet)

    def _recovery(self, facts: ClusterFacts) -> tuple[Argv, ...]:
        """What frees a release from a helm that was killed: nothing else lets the next one begin."""
        found = facts.release
        if found is None or not found.pending:
            return ()
        if found.revision == 1:
            return (self.cluster.helm("uninstall", found.name, "-n", found.namespace),)
        return (self.cluster.helm("rollback", found.name, "-n", found.namespace),)

    def _at_work(self, wish: OperatorWish) -> bool:
        entry = self.machine.journal.find(f"helm-release:{wish.namespace}/{wish.release}")
        return entry is not None and bool(entry.data.get("at_work"))

    def _chart_version(self, wish: OperatorWish) -> str:
        if not wish.chart:
            return wish.version
        shown = self.cluster.do(self.cluster.helm("show", "chart", wish.chart)).text
        return str(yaml.safe_load(shown)["version"])

    def _require_helm(self) -> None:
        if self.cluster.ask(self.cluster.helm("version", "--short")).ok:
            return
        raise RefusedError(
            f"{self.host} has no helm for this cluster: `{shlex.join(self.access.helm)}` does not work.",
            next_step="Run `microk8s enable helm3` there."
            if self.access.microk8s
            else "Install it there: https://helm.sh/docs/intro/install.",
        )


def chart_of(wish: OperatorWish) -> str:
    """The chart as helm is told."""
    if wish.chart:
        return wish.chart
    return f"{wish.repository}/gpu-operator" if wish.repository.startswith("oci:") else f"{REPOSITORY}/gpu-operator"
