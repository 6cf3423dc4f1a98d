"""Finding out the facts of a cluster, each asked once in a while; what we may not see stays unknown."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gpujobs.errors import AuthError, NotFoundError
from gpujobs_kubernetes._api import NODES, path
from gpujobs_kubernetes._facts import Facts, NodeFacts, node_facts, parse_version

if TYPE_CHECKING:
    from gpujobs.backend import Clock, Target
    from gpujobs_kubernetes._api import Api
    from gpujobs_kubernetes._options import KubernetesOptions

FRESH_S = 60.0
_RUNTIME_CLASSES = "node.k8s.io/v1/runtimeclasses"
_NVIDIA = "nvidia"


class Prober:
    """Asks for facts and remembers them for a minute. Thread-safe."""

    def __init__(self, api: Api, target: Target, options: KubernetesOptions, clock: Clock) -> None:
        self._api = api
        self._target = target
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
        self._version: tuple[int, int] | None = None
        self._nodes: tuple[NodeFacts, ...] | None = None
        self._runtime: str | None = None
        self._asked = float("-inf")

    def facts(self, *, gpus: bool) -> Facts:
        """The facts that rendering needs; nodes and the RuntimeClass only matter where GPUs are asked for."""
        with self._lock:
            if self._version is None:
                self._version = parse_version(self._api.get("/version"))
            if gpus and self._clock.monotonic() - self._asked > FRESH_S:
                self._nodes = self._list_nodes()
                self._runtime = self._options.runtime_class or self._runtime_class()
                self._asked = self._clock.monotonic()
            return Facts(
                version=self._version,
                nodes=self._nodes,
                runtime_class=self._runtime,
                gpu_types=self._target.gpu_types,
                gpu_resource=self._options.gpu_resource,
            )

    def _list_nodes(self) -> tuple[NodeFacts, ...] | None:
        try:
            return tuple(node_facts(node) for node in self._api.list(path(NODES)))
        except AuthError:
            return None

    def _runtime_class(self) -> str | None:
        try:
            self._api.get(path(_RUNTIME_CLASSES, name=_NVIDIA))
        except (AuthError, NotFoundError):
            return None
        return _NVIDIA
