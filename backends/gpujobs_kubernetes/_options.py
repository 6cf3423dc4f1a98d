"""The keys of a ``[targets.NAME]`` table with ``backend = "kubernetes"``."""

from __future__ import annotations

from pydantic import Field, model_validator

from gpujobs._model import Amount, Count, Model, Text
from gpujobs.parts import Toleration


class KubernetesOptions(Model):
    """Which cluster, which namespace, and facts that need not be asked for.

    Attributes:
        context: The kubeconfig context; by default the current one, or the pod's own account inside a cluster.
        namespace: By default the context's, else ``default``.
        kubeconfig: Another file than ``$KUBECONFIG`` or ``~/.kube/config``.
        in_cluster: True uses the account of the pod this runs in, False never does.
        runtime_class: Of workloads that ask for GPUs; ``none`` sets none. By default ``nvidia`` where it exists.
        gpu_resource: The resource that GPUs are asked by; by default what the nodes offer.
        autoscaling: Nodes may appear, so that no lack of GPUs is refused as impossible.
        connections: Kept open to the API server at most.
        timeout: Seconds to wait for an answer.
        tolerations: Added to every workload.
    """

    context: Text | None = None
    namespace: Text | None = Field(default=None, max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    kubeconfig: Text | None = None
    in_cluster: bool | None = None
    runtime_class: Text | None = None
    gpu_resource: Text | None = None
    autoscaling: bool = False
    connections: Count = 16
    timeout: Amount = 30.0
    tolerations: tuple[Toleration, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> KubernetesOptions:
        if self.in_cluster and (self.context or self.kubeconfig):
            raise ValueError("in_cluster uses the pod's own account: leave context and kubeconfig out")
        return self
