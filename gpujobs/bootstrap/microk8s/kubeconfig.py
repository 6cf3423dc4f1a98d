"""A cluster as one more context of somebody's kubeconfig: everything that is there stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import yaml

from gpujobs.bootstrap import files
from gpujobs.bootstrap.errors import BootstrapError
from gpujobs.bootstrap.kubernetes.cluster import dig, rows
from gpujobs.bootstrap.shell import checked
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.step import Machine

Config = dict[str, Any]
_LISTS = (("clusters", "cluster"), ("users", "user"), ("contexts", "context"))


def parse(text: str, path: str) -> Config:
    """A kubeconfig.

    Raises:
        BootstrapError: The file is no kubeconfig.
    """
    try:
        document: Any = yaml.safe_load(text) or {}
    except yaml.YAMLError as e:
        raise BootstrapError(f"{path} is not YAML: {e}", next_step="Mend it, or move it away.") from e
    if not isinstance(document, dict):
        raise BootstrapError(f"{path} is no kubeconfig.", next_step="Move it away, and run this again.")
    return cast("Config", document)


def merged(config: Config, cluster: Config, name: str) -> Config:
    """The kubeconfig with one cluster more, under this name; the current context stays if there is one."""
    entries = {
        "clusters": {"name": name, "cluster": _only(cluster, "clusters")["cluster"]},
        "users": {"name": name, "user": _only(cluster, "users")["user"]},
        "contexts": {"name": name, "context": {"cluster": name, "user": name}},
    }
    result: Config = {"apiVersion": "v1", "kind": "Config", **config}
    for section, _ in _LISTS:
        result[section] = [*_others(config, section, name), entries[section]]
    result["current-context"] = config.get("current-context") or name
    return result


def without(config: Config, name: str) -> Config:
    """The kubeconfig without that cluster, its user and its context."""
    result = dict(config)
    for section, _ in _LISTS:
        result[section] = _others(config, section, name)
    if result.get("current-context") == name:
        result["current-context"] = ""
    return result


def holds(config: Config, cluster: Config, name: str) -> bool:
    """Whether the kubeconfig has this cluster under this name, with the credentials of now."""
    return config.get("current-context", "") != "" and merged(config, cluster, name) == {
        "apiVersion": "v1", "kind": "Config", **config
    }  # fmt: skip


def taken(config: Config, cluster: Config, name: str) -> str:
    """The server that somebody else's cluster of the same name has, or ""."""
    there = [entry for entry in rows(config, "clusters") if entry.get("name") == name]
    server = str(dig(there[0], "cluster", "server") or "") if there else ""
    return "" if server == _only(cluster, "clusters")["cluster"].get("server") else server


def _others(config: Config, section: str, name: str) -> list[Config]:
    return [entry for entry in rows(config, section) if entry.get("name") != name]


def _only(config: Config, section: str) -> Config:
    entry: Config = config[section][0]
    return entry


@dataclass(frozen=True)
class KubeconfigContext:
    """The cluster of this machine's microk8s in the kubeconfig of a user."""

    kind: ClassVar[str] = "kubeconfig-context"
    host: str
    title: str
    path: str
    owner: str
    context: str

    @property
    def key(self) -> str:
        """File and context make it one of a kind."""
        return f"kubeconfig:{self.path}#{self.context}"

    def commands(self) -> tuple[str, ...]:
        """What it stands for; the credentials are left out."""
        return (f"microk8s config  # merged into {self.path} as the context {self.context}; what is there stays",)

    def check(self, machine: Machine) -> Finding:
        """Look for the context."""
        state = files.read(machine.shell, self.path)
        if state is None:
            return Finding(done=False, why=f"{self.path} is not there")
        there = holds(parse(state.content.decode(), self.path), self._cluster(machine), self.context)
        return Finding(done=there, why="" if there else f"it has no context {self.context} for this cluster as it is")

    def apply(self, machine: Machine) -> None:
        """Merge it in.

        Raises:
            BootstrapError: The name is taken by another cluster, or the file is no kubeconfig.
        """
        state, cluster = files.read(machine.shell, self.path), self._cluster(machine)
        config = parse(state.content.decode(), self.path) if state else {}
        server = taken(config, cluster, self.context) if machine.journal.find(self.key) is None else ""
        if server:
            raise BootstrapError(
                f"{self.path} already has a context {self.context}, for {server}.",
                next_step="Choose another name with --kube-context NAME.",
            )
        data = {"path": self.path, "context": self.context, "made": state is None, "owner": self.owner}
        machine.journal.begin(self.key, self.kind, self.title, data)
        directory = self.path.rpartition("/")[0]
        user, _, group = self.owner.partition(":")
        if files.read(machine.shell, directory) is None:
            checked(machine.shell, ("install", "-d", "-m", "700", "-o", user, "-g", group, directory))
        _write(machine, self.path, merged(config, cluster, self.context), self.owner)

    def _cluster(self, machine: Machine) -> Config:
        return parse(checked(machine.shell, ("microk8s", "config")).text, "`microk8s config`")

    @staticmethod
    def undo(machine: Machine, data: Mapping[str, Any]) -> Undone:
        """Take that cluster out of the file as it is now; an empty file that was made goes too."""
        state = files.read(machine.shell, data["path"])
        if state is None:
            return Undone()
        config = without(parse(state.content.decode(), data["path"]), data["context"])
        if data["made"] and not any(config.get(section) for section, _ in _LISTS):
            checked(machine.shell, ("rm", "-f", "--", data["path"]))
            machine.shell.run(("rmdir", "--", data["path"].rpartition("/")[0]))  # kubectl may have put a cache there
            return Undone()
        _write(machine, data["path"], config, state.owner)
        return Undone()


def _write(machine: Machine, path: str, config: Config, owner: str) -> None:
    content = yaml.safe_dump(config, sort_keys=False).encode()
    files.write(machine.shell, path, content, mode=0o600, owner=owner)
