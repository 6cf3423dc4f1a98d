"""The helm values: pure functions of the wish and of what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs.bootstrap.gpu_operator.wish import release_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.gpu_operator.probes import HostFacts
    from gpujobs.bootstrap.gpu_operator.wish import OperatorWish

Values = dict[str, Any]

# https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/getting-started.html#microk8s
# microk8s writes containerd.toml anew at every start, from the template; so the template is what is changed.
MICROK8S_TOOLKIT_ENV = (
    ("CONTAINERD_CONFIG", "/var/snap/microk8s/current/args/containerd-template.toml"),
    ("CONTAINERD_SOCKET", "/var/snap/microk8s/common/run/containerd.sock"),
    ("RUNTIME_CONFIG_SOURCE", "file=/var/snap/microk8s/current/args/containerd.toml"),
)
MICROK8S_KUBELET = "/var/snap/microk8s/common/var/lib/kubelet"
# The first chart that can be told where the kubelet is; before it DCGM's DaemonSet has to be patched.
KUBELET_VALUE_SINCE = (26, 7)


def helm_values(wish: OperatorWish, host: HostFacts, *, microk8s: bool, version: str) -> Values:
    """What is given to helm, the user's own values last."""
    values: Values = {}
    if microk8s:
        values["toolkit"] = {"env": [{"name": name, "value": value} for name, value in MICROK8S_TOOLKIT_ENV]}
        if release_of(version) >= KUBELET_VALUE_SINCE:
            values["hostPaths"] = {"kubeletRootDir": MICROK8S_KUBELET}
    if host_driver(wish, host):
        values["driver"] = {"enabled": False}
    if host_toolkit(wish, host, microk8s=microk8s):
        values["toolkit"] = {**values.get("toolkit", {}), "enabled": False}
    if wish.monitoring:
        values["dcgmExporter"] = {"serviceMonitor": {"enabled": True}}
    return merge(values, wish.values)


def host_driver(wish: OperatorWish, host: HostFacts) -> bool:
    """Whether the driver is the host's business: because it is wished, or because it has one."""
    return wish.driver == "host" or (wish.driver == "auto" and host.driver)


def host_toolkit(wish: OperatorWish, host: HostFacts, *, microk8s: bool) -> bool:
    """Whether the runtime knows NVIDIA already; microk8s has a containerd of its own, which no host's toolkit saw."""
    return wish.toolkit == "host" or (wish.toolkit == "auto" and host.toolkit and not microk8s)


def merge(values: Mapping[str, Any], over: Mapping[str, Any]) -> Values:
    """Two trees of values, as helm merges them: the second wins, lists are taken as a whole."""
    merged = dict(values)
    for name, value in over.items():
        known: Any = merged.get(name)
        merged[name] = merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType]  # JSON
    return merged
