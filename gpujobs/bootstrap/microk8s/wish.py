"""What a user wants of a microk8s."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from gpujobs._model import Model, Text, Words

CHANNEL = "1.35/stable"
ADDONS = ("dns", "helm3", "hostpath-storage")
_RENAMED = {"storage": "hostpath-storage"}  # the old name is deprecated, and does the same
_ADDON = re.compile(r"[a-z0-9][a-z0-9/-]*(:[A-Za-z0-9.,=/_-]+)?", re.ASCII)
_DESTINATION = r"^[A-Za-z0-9_][A-Za-z0-9_.@:%-]*$"


def _addons(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _ADDON.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of an addon, such as dns")
    return tuple(dict.fromkeys(_RENAMED.get(name, name) for name in names))


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError(f"a name stands twice in {', '.join(names)}")
    return names


Destination = Annotated[Text, Field(pattern=_DESTINATION)]


class Microk8sWish(Model):
    """A microk8s as a user wants it.

    Attributes:
        control: The machine that decides: ``localhost`` or an ssh destination.
        workers: Machines that join it and run pods only, as ssh destinations.
        channel: The snap channel: Kubernetes stays on it.
        addons: What is enabled beside it; ``storage`` is understood as ``hostpath-storage``.
        user: Who may use it without sudo, and gets the kubeconfig; "" for who runs this.
        context: What the cluster is called in that kubeconfig.
        snap: A directory on every machine with ``microk8s*.snap`` and its ``.assert``, in place of the store.
    """

    control: Destination = "localhost"
    workers: Annotated[tuple[Destination, ...], AfterValidator(_distinct)] = ()
    channel: Annotated[Text, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9./-]*$")] = CHANNEL
    addons: Annotated[Words, AfterValidator(_addons)] = ADDONS
    user: Annotated[Text, Field(pattern=r"^$|^[a-z_][a-z0-9_.-]*\$?$")] = ""
    context: Annotated[Text, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$")] = "microk8s"
    snap: Annotated[Text, Field(pattern=r"^$|^/[A-Za-z0-9/._+-]+$")] = ""

    @property
    def machines(self) -> tuple[str, ...]:
        """All machines, the deciding one first."""
        return (self.control, *self.workers)
