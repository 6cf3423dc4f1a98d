"""Finding the cluster: kubeconfig or the pod's own account, as the official client reads them; its errors explained."""

from __future__ import annotations

import importlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpujobs.errors import AuthError, ConfigError, MissingExtraError
from gpujobs_kubernetes._tables import inside, rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs_kubernetes._options import KubernetesOptions

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NOBODY: dict[str, Any] = {}
_POOLED = 512
_DEFAULT_FILE = "~/.kube/config"


@dataclass(slots=True)
class Connection:
    """A configured way to one API server.

    Attributes:
        configuration: The official client's Configuration: host, certificates, proxy, tokens.
        pool: Its urllib3 pool.
        who: Where the access comes from, for messages.
    """

    configuration: Any
    pool: Any
    namespace: str
    who: str

    @property
    def host(self) -> str:
        """``https://HOST:PORT``."""
        return str(self.configuration.host).rstrip("/")

    def headers(self) -> dict[str, str]:
        """The headers that say who we are; expired tokens are fetched again here.

        Raises:
            AuthError: The kubeconfig's credential plugin failed.
        """
        found = {"Accept": "application/json", "User-Agent": "gpujobs"}
        for setting in self.configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                found[setting["key"]] = setting["value"]
        return found


def official(module: str) -> Any:
    """A module of the official client: an optional extra, slow to import, and without types that agree over versions.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(f"kubernetes.{module}")
    except ImportError as e:
        raise MissingExtraError("kubernetes", "kubernetes") from e


def connect(options: KubernetesOptions) -> Connection:
    """The connection of a target; nothing is asked of the API server yet.

    Raises:
        MissingExtraError: The ``kubernetes`` package is not installed.
        ConfigError: There is no usable configuration. AuthError: Its credential plugin failed.
    """
    client, config = official("client"), official("config")
    configuration: Any = client.Configuration()
    # How many are in use is decided where threads are started; a pool that is full warns of each that it lets go.
    configuration.connection_pool_maxsize = max(options.connections, _POOLED)
    # The pool would repeat requests by itself and hide faults; what may be repeated is decided in one place.
    configuration.retries = False
    if _in_cluster(options):
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException as e:
            raise ConfigError(
                f"The account of this pod cannot be used: {e}.",
                next_step="Run inside a cluster, or set in_cluster = false and give a kubeconfig.",
            ) from e
        namespace = _NAMESPACE_FILE.read_text().strip() if _NAMESPACE_FILE.exists() else "default"
        who = "this pod's service account"
    else:
        namespace, who = _load_kubeconfig(options, configuration)
    try:
        pool = official("client.rest").RESTClientObject(configuration).pool_manager
    except OSError as e:
        raise ConfigError(
            f"The certificates of {who} cannot be loaded: {e}.", next_step="Check the files that the kubeconfig names."
        ) from e
    return Connection(configuration, pool, options.namespace or namespace, who)


def _in_cluster(options: KubernetesOptions) -> bool:
    if options.in_cluster is not None:
        return options.in_cluster
    chosen = options.context or options.kubeconfig or os.environ.get("KUBECONFIG")
    return bool(
        not chosen and "KUBERNETES_SERVICE_HOST" in os.environ and not Path(_DEFAULT_FILE).expanduser().exists()
    )


def _load_kubeconfig(options: KubernetesOptions, configuration: Any) -> tuple[str, str]:
    config = official("config")
    files = options.kubeconfig or os.environ.get("KUBECONFIG") or _DEFAULT_FILE
    files = str(Path(files).expanduser()) if os.pathsep not in files else files
    if not any(Path(f).expanduser().is_file() for f in files.split(os.pathsep) if f):
        raise ConfigError(
            f"There is no kubeconfig at {files}.",
            next_step="Set KUBECONFIG, or kubeconfig = '...' in the target (`microk8s config > ~/.kube/config`).",
        )
    try:
        merged: Any = _plain(official("config.kube_config").KubeConfigMerger(files).config)
    except Exception as e:  # the YAML reader's errors have no common base with the client's
        raise ConfigError(f"The kubeconfig {files} cannot be read: {e}.", next_step="Mend it.") from e
    context = _context(merged, options.context, files)
    root = logging.getLogger()
    root.addFilter(_not_the_clients)
    try:
        config.load_kube_config(files, context=context["name"], client_configuration=configuration)
    except config.ConfigException as e:
        raise ConfigError(
            f"The context {context['name']!r} of {files} is not usable: {e}.", next_step="Mend it."
        ) from e
    except OSError as e:
        raise ConfigError(f"A file that {files} names cannot be read: {e}.", next_step="Check its path.") from e
    finally:
        root.removeFilter(_not_the_clients)
    _check_plugin(merged, context, configuration, files)
    return context["context"].get("namespace") or "default", f"context {context['name']!r} of {files}"


def _not_the_clients(record: logging.LogRecord) -> bool:
    """Keeps a failing credential plugin off the root logger: it is told as an error."""
    return record.module != "kube_config"


def _plain(node: Any) -> Any:
    """Plain tables and lists of what the client wraps."""
    value = getattr(node, "value", node)
    if value.__class__ is dict:
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if value.__class__ is list else value


def _context(merged: Mapping[str, Any], wanted: str | None, files: str) -> Mapping[str, Any]:
    contexts: list[Mapping[str, Any]] = merged.get("contexts") or []
    name = wanted or merged.get("current-context") or ""
    found = next((c for c in contexts if c.get("name") == name), None)
    if found is None or not found.get("context"):
        known = ", ".join(str(c.get("name")) for c in contexts) or "none"
        what = f"There is no context {name!r} in {files}." if name else f"{files} has no current context."
        raise ConfigError(what, next_step=f"Set context = '...' in the target; there are: {known}.")
    return found


def _check_plugin(merged: Mapping[str, Any], context: Mapping[str, Any], configuration: Any, files: str) -> None:
    """The official client only logs a credential plugin's failure and goes on as nobody."""
    users = rows(merged, "users")
    user = next((inside(u, "user") for u in users if u.get("name") == inside(context, "context").get("user")), _NOBODY)
    if "exec" not in user or configuration.api_key or configuration.cert_file:
        return
    command = user["exec"].get("command")
    try:
        node = official("config.kube_config").ConfigNode("exec", dict(user["exec"]))
        official("config.exec_provider").ExecProvider(node, str(Path(files).parent)).run()
        why = "it gave neither a token nor a certificate"
    except (official("config").ConfigException, OSError) as e:
        why = str(e)
    raise AuthError(
        f"The credential plugin {command!r} of context {context['name']!r} failed: {why}.",
        next_step="Run it by hand; it may need a login.",
    )
