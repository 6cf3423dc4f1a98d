"""The helm release as a step: installed or upgraded as one, taken back with all that it left behind."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import yaml

from gpujobs.bootstrap.errors import CommandFailedError
from gpujobs.bootstrap.gpu_operator.removal import Removal, leftovers, remove
from gpujobs.bootstrap.kubernetes.access import Access
from gpujobs.bootstrap.kubernetes.cluster import Cluster
from gpujobs.bootstrap.kubernetes.facts import find_release
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.kubernetes.facts import Release
    from gpujobs.bootstrap.shell import Argv
    from gpujobs.bootstrap.step import Machine

_TIMEOUT_S = 900


@dataclass(frozen=True)
class HelmRelease:
    """A release with exactly these values, of this version.

    Attributes:
        chart: The chart as helm is told: ``nvidia/gpu-operator``, or a path.
        version: What the chart has to be.
        from_file: Whether the chart is a path, so that there is no version to ask for.
        values: All values that are given, those of others kept.
        recover: What has to be run first, where a helm was killed at work.
    """

    kind: ClassVar[str] = "helm-release"
    host: str
    title: str
    access: Access
    name: str
    namespace: str
    chart: str
    version: str
    from_file: bool
    values: dict[str, Any]
    recover: tuple[Argv, ...] = ()

    @property
    def key(self) -> str:
        """Namespace and name make it one of a kind."""
        return f"helm-release:{self.namespace}/{self.name}"

    def argv(self) -> Argv:
        """The one command that installs, upgrades, or changes values."""
        words = ("upgrade", "--install", self.name, "-n", self.namespace, "--create-namespace", self.chart)
        return (*self.access.helm, *words, *self._version(), "--reset-values", "--values", "-")

    def _version(self) -> Argv:
        return () if self.from_file else (f"--version={self.version}",)

    def commands(self) -> tuple[str, ...]:
        """What is run, with the values."""
        return (*map(shlex.join, self.recover), f"{shlex.join(self.argv())} <<'EOF'\n{as_yaml(self.values)}EOF")

    def check(self, machine: Machine) -> Finding:
        """Compare state, version and values."""
        found = find_release(Cluster(machine.shell, self.access))
        return compare(found, self)

    def apply(self, machine: Machine) -> None:
        """Have helm do it.

        Raises:
            CommandFailedError: helm could not; what it says is in the message.
        """
        cluster = Cluster(machine.shell, self.access)
        if machine.journal.find(self.key) is None:
            machine.journal.begin(self.key, self.kind, self.title, self._before(cluster))
        machine.journal.update(self.key, at_work=True)
        for argv in self.recover:
            cluster.do(argv, timeout_s=_TIMEOUT_S)
        cluster.do(self.argv(), stdin=as_yaml(self.values).encode(), timeout_s=_TIMEOUT_S)
        machine.journal.update(self.key, at_work=False)

    def _before(self, cluster: Cluster) -> dict[str, Any]:
        found = find_release(cluster)
        shown = cluster.do(
            cluster.helm("show", "crds", self.chart, *(self.argv()[-4:-3] if not self.from_file else ()))
        )
        return {
            "access": self.access.model_dump(mode="json"),
            "release": self.name,
            "namespace": self.namespace,
            "revision": found.revision if found else 0,
            **leftovers(cluster, self.namespace, shown.text),
        }

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Take the release away with what it made, or go back to the revision that was there before."""
        cluster = Cluster(machine.shell, Access.model_validate(data["access"]))
        name, namespace, revision = data["release"], data["namespace"], data["revision"]
        if not revision:
            return Undone("; ".join(remove(cluster, Removal.from_json(data))))
        argv = cluster.helm("rollback", name, str(revision), "-n", namespace)
        completed = cluster.ask(argv, timeout_s=_TIMEOUT_S)
        if not completed.ok:
            raise CommandFailedError(machine.name, completed)
        return Undone(f"the release {name} was there before and is as in its revision {revision}")


def compare(found: Release | None, wanted: HelmRelease) -> Finding:
    """What is missing for the release to be as wanted, as a pure function."""
    if found is None:
        return Finding(done=False, why="it is not installed")
    if found.status != "deployed":
        return Finding(done=False, why=f"the release is {found.status}")
    if found.version.removeprefix("v") != wanted.version.removeprefix("v"):
        return Finding(done=False, why=f"it is {found.version}, not {wanted.version}")
    if found.values != wanted.values:
        return Finding(done=False, why="its values are others")
    return Finding(done=True, why=f"{found.version} is deployed")


def as_yaml(values: Mapping[str, Any]) -> str:
    """Values as helm reads them, in the order they were made."""
    return yaml.safe_dump(dict(values), sort_keys=False, default_flow_style=False)
