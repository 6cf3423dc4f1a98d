"""The helm values of the operator's release: an upgrade of the operator must not forget how GPUs are shared."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap.errors import BootstrapError
from gpujobs.bootstrap.gpu_operator.release import as_yaml
from gpujobs.bootstrap.gpu_operator.values import merge
from gpujobs.bootstrap.gpu_sharing.config import noted, spoken
from gpujobs.bootstrap.kubernetes.access import Access
from gpujobs.bootstrap.kubernetes.cluster import Cluster, dig, table
from gpujobs.bootstrap.kubernetes.facts import POLICY, find_release
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.kubernetes.facts import Release
    from gpujobs.bootstrap.shell import Argv
    from gpujobs.bootstrap.step import Machine

Settings = dict[str, dict[str, Any]]
_TIMEOUT_S = 900


@dataclass(frozen=True)
class HelmValues:
    """Some values of a release that is there, beside those that others gave it.

    Attributes:
        release: As it was found: its values are shown in a plan, with these.
        chart: The words that name the chart of that same version.
        settings: By section and key.
        numbers: What each node hands out before, for an undo to wait for.
        policy: The ClusterPolicy that helm writes: what a hand had said there comes back after an undo.
    """

    kind: ClassVar[str] = "helm-values"
    host: str
    access: Access
    release: Release
    chart: Argv
    settings: Settings
    numbers: Mapping[str, Mapping[str, int]]
    policy: str
    title: str = "Keep it in the helm values of the operator"

    @property
    def key(self) -> str:
        """The release makes it one of a kind."""
        return f"helm-values:{self.release.namespace}/{self.release.name}"

    def commands(self) -> tuple[str, ...]:
        """The upgrade, with all values."""
        argv = _upgrade(self.access, self.release.name, self.release.namespace, self.chart)
        return (f"{shlex.join(argv)} <<'EOF'\n{as_yaml(merge(self.release.values, self.settings))}EOF",)

    def check(self, machine: Machine) -> Finding:
        """Compare what the release was given."""
        found = self._now(machine)
        if found.status != "deployed":
            return Finding(done=False, why=f"the release is {found.status}")
        said = merge(found.values, self.settings) == found.values
        return Finding(done=said, why="" if said else "the values do not say so")

    def apply(self, machine: Machine) -> None:
        """Upgrade the release to the same version with these values.

        Raises:
            BootstrapError: Another helm is at work on it, or it is gone.
        """
        cluster, found = Cluster(machine.shell, self.access), self._now(machine)
        before = {
            section: {key: dig(found.values, section, key) for key in values}
            for section, values in self.settings.items()
        }
        data: dict[str, Any] = {
            "access": self.access.model_dump(mode="json"),
            "release": found.name,
            "namespace": found.namespace,
            "chart": list(self.chart),
            "numbers": self.numbers,
            "before": before,
            "policy": self.policy,
            "said": spoken(cluster.find(POLICY, self.policy), self.settings),
        }
        entry = machine.journal.begin(self.key, self.kind, self.title, data)
        # A later wish may have more keys; of those that were noted the first note stays.
        machine.journal.update(
            self.key, before=noted(before, entry.data["before"]), said=noted(data["said"], entry.data["said"])
        )
        _release_free(cluster, found)
        _give(cluster, found, self.chart, merge(found.values, self.settings))

    def _now(self, machine: Machine) -> Release:
        found = find_release(Cluster(machine.shell, self.access))
        if found is None:
            raise BootstrapError(
                "There is no helm release of the GPU Operator.", next_step="Run `gpujobs bootstrap gpu-operator apply`."
            )
        return found

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Give the release the former values of these keys, and leave all others as they are now."""
        cluster = Cluster(machine.shell, Access.model_validate(data["access"]))
        found = find_release(cluster)
        if found is None or (found.name, found.namespace) != (data["release"], data["namespace"]):
            return Undone()
        _release_free(cluster, found)
        values = restored(found.values, data["before"])
        if values != found.values or found.pending:
            chart = [
                word if not word.startswith("--version=") else f"--version={found.version}" for word in data["chart"]
            ]
            _give(cluster, found, tuple(chart), values)
        _say(cluster, data["policy"], data["said"])
        return Undone()


def _say(cluster: Cluster, policy: str, said: Settings) -> None:
    """Have the ClusterPolicy say again what a hand had said there, which helm took for its own and removed."""
    found = cluster.find(POLICY, policy)
    if found is not None and spoken(found, said) != said:
        words = ("patch", POLICY, policy, "--type=merge", "-p", json.dumps({"spec": said}))
        cluster.do(cluster.kubectl(*words))


def restored(values: Mapping[str, Any], before: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Values with some keys set back; a key, or a section, that was not there goes."""
    result = dict(values)
    for section, keys in before.items():
        kept = {key: value for key, value in {**table(values, section), **keys}.items() if value is not None}
        result.pop(section, None)
        result |= {section: kept} if kept else {}
    return result


def _upgrade(access: Access, name: str, namespace: str, chart: Argv) -> Argv:
    return (*access.helm, "upgrade", name, "-n", namespace, *chart, "--reset-values", "--values", "-")


def _give(cluster: Cluster, found: Release, chart: Argv, values: Mapping[str, Any]) -> None:
    argv = _upgrade(cluster.access, found.name, found.namespace, chart)
    cluster.do(argv, stdin=as_yaml(values).encode(), timeout_s=_TIMEOUT_S)


def _release_free(cluster: Cluster, found: Release) -> None:
    """Free a release that a killed helm has left pending: our lock says that no other gpujobs is at work here."""
    if not found.pending:
        return
    if found.revision == 1:
        raise BootstrapError(
            f"The release {found.name!r} is {found.status}: its first installation was not finished.",
            next_step="Run `gpujobs bootstrap gpu-operator apply` first.",
        )
    cluster.do(cluster.helm("rollback", found.name, "-n", found.namespace), timeout_s=_TIMEOUT_S)
