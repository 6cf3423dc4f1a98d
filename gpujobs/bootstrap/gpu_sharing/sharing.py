"""GPU sharing in a cluster as its owner handles it: plan, apply, undo."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gpujobs.bootstrap import engine
from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.gpu_operator.operator import GpuOperator
from gpujobs.bootstrap.gpu_operator.steps import REPOSITORY, repository_steps
from gpujobs.bootstrap.gpu_operator.wish import OperatorWish
from gpujobs.bootstrap.gpu_sharing.config import CONFIG_LABEL, MIG_LABEL, config_map, expected, key_of, settings
from gpujobs.bootstrap.gpu_sharing.objects import NodeLabel, PolicySettings, SharingConfigMap
from gpujobs.bootstrap.gpu_sharing.plugin import Allocatable, PluginRestart
from gpujobs.bootstrap.gpu_sharing.values import HelmValues
from gpujobs.bootstrap.gpu_sharing.wish import SharingWish
from gpujobs.bootstrap.kubernetes.facts import gather_cluster, parse_node
from gpujobs.bootstrap.kubernetes.managed import ManagedInCluster
from gpujobs.bootstrap.plan import Plan
from gpujobs.bootstrap.steps import UNDOERS as BASIC_UNDOERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gpujobs.bootstrap.engine import Applied, OnEvent, TakenBack, Undoer
    from gpujobs.bootstrap.kubernetes.access import Which
    from gpujobs.bootstrap.kubernetes.facts import ClusterFacts, Policy
    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.step import Step

UNDOERS: Mapping[str, Undoer] = {
    **BASIC_UNDOERS,
    **{kind.kind: kind.undo for kind in (SharingConfigMap, HelmValues, PolicySettings, NodeLabel)},
}
_BEFORE = "numbers"
_FALL_S = 60


class GpuSharing(ManagedInCluster[SharingWish]):
    """How the GPUs of one cluster are shared.

    Args:
        host: The machine whose kubectl and helm are used, as a person calls it.
        shell: How to reach it.
        which: Which cluster is meant.

    Raises:
        RefusedError: The machine has no kubectl.
        UnavailableError: The machine or the cluster cannot be reached.
    """

    def __init__(self, host: str, shell: Shell, which: Which | None = None) -> None:
        self._operator = GpuOperator(host, shell, which)
        super().__init__(
            host,
            self._operator.cluster,
            self._operator.place,
            what="gpu-sharing",
            read=SharingWish.model_validate,
        )

    def plan(self, wish: SharingWish) -> Plan:
        """What there is to do.

        Raises:
            RefusedError: There is no GPU Operator, or a node that is named is not there.
        """
        facts = gather_cluster(self.cluster)
        policy = _refuse(wish, facts)
        return Plan(
            self.what,
            {self.host: self.machine},
            tuple(self._steps(wish, facts, policy)),
            wish.model_dump(mode="json"),
            tuple(_warnings(wish, facts)),
        )

    def apply(self, wish: SharingWish, *, on_event: OnEvent = engine.unwatched) -> Applied:
        """Do what is missing, and wait until the nodes hand out that many.

        Raises:
            StepFailedError: A step failed; another apply goes on from there.
        """
        return self.carry_out(self.plan(wish), on_event=on_event)

    def undo(self, *, on_event: OnEvent = engine.unwatched, sleep: Callable[[float], None] = time.sleep) -> TakenBack:
        """Take back what was changed, and wait for the former numbers.

        Raises:
            RefusedError: Nothing was changed from here.
            StepFailedError: Something would not go; another undo goes on from there.
        """
        entries = tuple(self.machine.journal)
        if not entries:
            raise RefusedError(
                f"No bootstrap of gpujobs on {self.host} has changed how GPUs are shared in this cluster.",
                next_step="`gpujobs bootstrap gpu-sharing plan --time-slice 4` shows what one would do.",
            )
        noted: list[Mapping[str, Mapping[str, int]]] = [e.data[_BEFORE] for e in entries if _BEFORE in e.data]
        taken = engine.undo({self.host: self.machine}, UNDOERS, on_event=on_event, lock_file=self.place.lock_file)
        taken.kept += self._await(noted[0] if noted else {}, sleep)
        return taken

    def _await(self, before: Mapping[str, Mapping[str, int]], sleep: Callable[[float], None]) -> list[str]:
        different: list[str] = []
        for _ in range(_FALL_S):
            now = self.numbers()
            different = [
                f"{node} hands out {now[node]} and did hand out {dict(numbers)}"
                for node, numbers in before.items()
                if node in now and now[node] != numbers
            ]
            if not different:
                return []
            sleep(1)
        return different

    def numbers(self) -> dict[str, dict[str, int]]:
        """What each node hands out now; what it has none of is left out."""
        nodes = [parse_node(node) for node in self.cluster.items("nodes")]
        return {node.name: {name: n for name, n in node.allocatable.items() if n} for node in nodes}

    def _steps(self, wish: SharingWish, facts: ClusterFacts, policy: Policy) -> Iterator[Step]:
        access, told = self.cluster.access, settings(wish)
        numbers = self.numbers()
        namespace = facts.release.namespace if facts.release else self._namespace()
        if wish.shares:
            yield SharingConfigMap(self.host, access, config_map(wish, namespace), numbers)
        if told and facts.release:
            operator = self._operator_wish(wish, facts.release.version)
            yield from repository_steps(self.host, access, operator)
            chart = (
                (operator.chart,) if operator.chart else (f"{REPOSITORY}/gpu-operator", f"--version={operator.version}")
            )
            yield HelmValues(self.host, access, facts.release, chart, told, numbers, policy.name)
        if told:
            yield PolicySettings(self.host, access, policy.name, told)
        yield from self._labels(wish, facts)
        if wish.shares:
            yield PluginRestart(self.host, access, namespace, wish.config_map)
        yield Allocatable(self.host, access, expectations(wish, facts), wish.ready_s)

    def _labels(self, wish: SharingWish, facts: ClusterFacts) -> Iterator[Step]:
        access = self.cluster.access
        for node in facts.nodes:
            sharing = wish.nodes.get(node.name)
            if sharing is not None:
                title = f"Give {node.name} a configuration of its own"
                yield NodeLabel(self.host, access, node.name, CONFIG_LABEL, key_of(sharing), title)
            elif wish.shares and node.labels.get(CONFIG_LABEL) and self._labelled(node.name):
                title = f"Have {node.name} take the default again"
                yield NodeLabel(self.host, access, node.name, CONFIG_LABEL, None, title)
            if node.name in wish.mig:
                yield NodeLabel(
                    self.host,
                    access,
                    node.name,
                    MIG_LABEL,
                    wish.mig[node.name],
                    f"Cut the GPUs of {node.name} in slices",
                )

    def _labelled(self, node: str) -> bool:
        """Whether the label of a node is ours: one that somebody else has set stays."""
        return self.machine.journal.find(f"node-label:{node}/{CONFIG_LABEL}") is not None

    def _operator_wish(self, wish: SharingWish, version: str) -> OperatorWish:
        before = self._operator.wish() or OperatorWish()
        return before.replace(version=version, chart=wish.chart or before.chart)

    def _namespace(self) -> str:
        """Where an operator that helm did not install runs its device plugin."""
        pods = self.cluster.items("pods", "-A", "-l", "app=nvidia-device-plugin-daemonset")
        return str(pods[0]["metadata"]["namespace"]) if pods else "gpu-operator"


def _refuse(wish: SharingWish, facts: ClusterFacts) -> Policy:
    unknown = sorted({*wish.nodes, *wish.mig} - {node.name for node in facts.nodes})
    if unknown:
        raise RefusedError(
            f"{unknown[0]} is no node of this cluster.",
            next_step=f"Its nodes are {', '.join(node.name for node in facts.nodes)}.",
        )
    if facts.policy is None:
        raise RefusedError(
            "There is no GPU Operator in this cluster: no ClusterPolicy to say it in.",
            next_step="Install it first: `gpujobs bootstrap gpu-operator apply`.",
        )
    return facts.policy


def _warnings(wish: SharingWish, facts: ClusterFacts) -> Iterator[str]:
    wanted = [(node, wish.of(node.name)) for node in facts.nodes]
    sliced = [node for node, sharing in wanted if sharing and sharing.mode == "time-slice"]
    if sliced:
        yield "time-slicing isolates no memory: pods on one GPU can take it from each other"
    if any(node.physical > 1 and (sharing := wish.of(node.name)) and not sharing.refuse_several for node in sliced):
        yield "a pod that asks for 2 may get two shares of one GPU: --refuse-several refuses it"
    if facts.release is None:
        yield "helm did not install this operator, so only its ClusterPolicy is told: what manages it may undo that"


def expectations(wish: SharingWish, facts: ClusterFacts) -> dict[str, tuple[str, int]]:
    """What the nodes are to hand out, for those whose GPUs have been counted and are not cut in slices."""
    return {
        node.name: expected(sharing, node.physical)
        for node in facts.nodes
        if (sharing := wish.of(node.name)) and node.physical and node.name not in wish.mig
    }
