"""The keys of a ``[targets.NAME]`` table with ``backend = "kubernetes"``."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from gpujobs.options import Amount, Count, Options, Text
from gpujobs.parts import Toleration
from gpujobs_kubernetes._names import is_image, is_subdomain


class Releaser(Options):
    """A small pod in the namespace that starts jobs with ``after`` while no client is there.

    Attributes:
        image: One with Python 3 and ``gpujobs[kubernetes]``.
        service_account: The account it runs as; ``gpujobs targets rbac`` prints it with its rights.
        extra: A strategic-merge patch on its Deployment: pull secrets, a node selector, another command.
    """

    _shorthand = ({"type": "string"},)

    image: Text
    service_account: Text = "gpujobs-releaser"
    extra: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"image": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Releaser:
        if not is_image(self.image):
            raise ValueError(f"{self.image!r} is not an image name: write REGISTRY/NAME:TAG")
        if not is_subdomain(self.service_account):
            raise ValueError(f"{self.service_account!r} cannot be the name of a ServiceAccount")
        return self


class KubernetesOptions(Options):
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
        releaser: Starts jobs with ``after`` where no client looks; an image, or a table. By default there is none.
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
    releaser: Releaser | None = None

    @model_validator(mode="after")
    def _check(self) -> KubernetesOptions:
        if self.in_cluster and (self.context or self.kubeconfig):
            raise ValueError("in_cluster uses the pod's own account: leave context and kubeconfig out")
        return self
