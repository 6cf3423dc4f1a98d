"""How the GPUs of a cluster are to be shared."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gpujobs._model import Model, Text
from gpujobs.bootstrap.kubernetes.access import Distribution

_FORM = re.compile(r"(time-slice|mps):(\d{1,4})", re.ASCII)
_DNS = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
_LABEL = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"


class Sharing(Model):
    """How one node's GPUs are shared: ``"time-slice:4"``, ``"mps:2"`` or ``"none"`` say the same in a word.

    Attributes:
        mode: Taking turns without any isolation of memory, or side by side under NVIDIA's MPS; ``none``: each to one.
        replicas: How many pods one GPU is handed to.
        rename: Whether a share is called ``nvidia.com/gpu.shared``, so that nobody takes it for a GPU.
        refuse_several: Whether a pod that asks for more than one is refused: two shares may be of one GPU.
    """

    mode: Literal["time-slice", "mps", "none"] = "time-slice"
    replicas: Annotated[int, Field(ge=1, le=1024)] = 1
    rename: bool = False
    refuse_several: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _FORM.fullmatch(value)
        if value != "none" and found is None:
            raise ValueError(f"{value!r} is no way to share a GPU: give time-slice:4, mps:2 or none")
        return {"mode": found[1], "replicas": int(found[2])} if found else {"mode": "none"}

    @model_validator(mode="after")
    def _check(self) -> Sharing:
        if (self.mode == "none") != (self.replicas == 1):
            raise ValueError("replicas has to be 2 or more to share a GPU, and 1 where it is not shared")
        return self


class SharingWish(Model):
    """What is wanted of a cluster's GPUs; what is left out stays as it is.

    Attributes:
        default: For every node that has none of its own.
        nodes: By the name of the node.
        mig_strategy: How MIG slices are called: all alike as ``nvidia.com/gpu`` (single), or by profile (mixed).
        mig: The slices of a node, by its name, as the MIG manager knows them: ``all-1g.10gb``.
        config_map: What the ConfigMap is called.
        ready_s: How long the device plugins may take.
    """

    default: Sharing | None = None
    nodes: dict[Annotated[Text, Field(pattern=_DNS)], Sharing] = Field(default_factory=dict)
    mig_strategy: Literal["none", "single", "mixed"] | None = None
    mig: dict[Annotated[Text, Field(pattern=_DNS)], Annotated[Text, Field(pattern=_LABEL)]] = Field(
        default_factory=dict
    )
    config_map: Annotated[Text, Field(pattern=_DNS)] = "time-slicing-config"
    ready_s: Annotated[int, Field(ge=1)] = 300
    chart: Annotated[Text, Field(pattern=r"^$|^/[A-Za-z0-9/._+-]+$")] = ""
    distribution: Distribution = "auto"
    kubeconfig: Text = ""
    context: Text = ""

    @model_validator(mode="after")
    def _check(self) -> SharingWish:
        if not (self.default or self.nodes or self.mig_strategy or self.mig):
            raise ValueError("nothing is asked for: give time-slice:4 for all nodes, or something for one")
        return self

    @property
    def shares(self) -> bool:
        """Whether the device plugin gets a configuration."""
        return self.default is not None or bool(self.nodes)

    def of(self, node: str) -> Sharing | None:
        """What is wanted of a node, or None where nothing is."""
        return self.nodes.get(node, self.default)
