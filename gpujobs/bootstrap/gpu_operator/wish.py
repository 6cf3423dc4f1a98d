"""What a user wants of the GPU Operator."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from gpujobs._model import Model, Text
from gpujobs.bootstrap.kubernetes.access import Distribution

VERSION = "v25.10.1"
REPOSITORY = "https://helm.ngc.nvidia.com/nvidia"
_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)([+-].*)?", re.ASCII)


def _version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        raise ValueError(f"{text!r} is not the version of a chart, such as {VERSION}")
    return text


def release_of(version: str) -> tuple[int, int]:
    """Year and month: what the chart's features follow."""
    found = _VERSION.fullmatch(version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


Namespace = Annotated[Text, Field(pattern=_LABEL)]
Path = Annotated[Text, Field(pattern=r"^$|^/[A-Za-z0-9/._+-]+$")]


class OperatorWish(Model):
    """The GPU Operator as a user wants it; what is ``auto`` is chosen for the machine and the cluster found.

    Attributes:
        version: Of the chart.
        namespace: Where its pods run.
        release: What helm calls it.
        driver: Who brings the NVIDIA driver: the ``host``, or the ``operator`` in containers.
        toolkit: Who tells the container runtime about NVIDIA: the ``host``'s administrator, or the ``operator``.
        chart: A chart on that machine, as a directory or a .tgz, in place of the repository: for machines offline.
        repository: Where the chart comes from.
        monitoring: Whether DCGM's metrics are offered to a Prometheus operator.
        values: More helm values; they win over everything else.
        ready_s: How long its pods may take to be ready: the first time they pull several GB.
        distribution: Which Kubernetes; ``auto`` takes microk8s where it is installed.
        kubeconfig: A kubeconfig on that machine.
        context: A context of it.
    """

    version: Annotated[Text, AfterValidator(_version)] = VERSION
    namespace: Namespace = "gpu-operator"
    release: Namespace = "gpu-operator"
    driver: Literal["auto", "host", "operator"] = "auto"
    toolkit: Literal["auto", "host", "operator"] = "auto"
    chart: Path = ""
    repository: Annotated[Text, Field(pattern=r"^(https?|oci)://\S+$")] = REPOSITORY
    monitoring: bool = False
    values: dict[str, Any] = Field(default_factory=dict)
    ready_s: Annotated[int, Field(ge=1)] = 1200
    distribution: Distribution = "auto"
    kubeconfig: Text = ""
    context: Text = ""
