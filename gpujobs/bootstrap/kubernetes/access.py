"""Which kubectl and which helm speak for a cluster: microk8s's own, or the ones on the PATH."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gpujobs._model import Model, Text, Words
from gpujobs.bootstrap.errors import RefusedError

if TYPE_CHECKING:
    from gpujobs.bootstrap.shell import Argv, Shell

Distribution = Literal["auto", "microk8s", "kubernetes"]

# A shell that comes over ssh has no /snap/bin in its PATH.
_MICROK8S = "command -v microk8s || { [ -x /snap/bin/microk8s ] && echo /snap/bin/microk8s; }"


class Access(Model):
    """The words before every kubectl and helm command.

    Attributes:
        microk8s: Whether this is a microk8s, whose containerd and kubelet are elsewhere.
    """

    kubectl: Words
    helm: Words
    microk8s: bool = False


class Which(Model):
    """Which cluster is meant.

    Attributes:
        distribution: ``auto`` takes microk8s where it is installed and no kubeconfig or context is named.
        kubeconfig: A kubeconfig file on that machine; "" for kubectl's own choice.
        context: A context of it; "" for the current one.
    """

    distribution: Distribution = "auto"
    kubeconfig: Text = ""
    context: Text = ""


def choose(shell: Shell, which: Which) -> Access:
    """The access to the cluster that is meant.

    Raises:
        RefusedError: The machine has no kubectl, or no microk8s where that is wanted.
    """
    named = bool(which.kubeconfig or which.context)
    found = "" if which.distribution == "kubernetes" or named else shell.run(("sh", "-c", _MICROK8S)).text.strip()
    if found:
        program = "microk8s" if found.startswith("/") else found
        return Access(kubectl=(program, "kubectl"), helm=(program, "helm3"), microk8s=True)
    if which.distribution == "microk8s":
        raise RefusedError(
            f"{shell.name} has no microk8s.", next_step="Install it: gpujobs bootstrap microk8s plan, then apply."
        )
    if not shell.run(("sh", "-c", "command -v kubectl")).ok:
        raise RefusedError(
            f"{shell.name} has neither microk8s nor kubectl.",
            next_step="Name a machine that has one with --host, or install one: gpujobs bootstrap microk8s plan.",
        )
    return _plain(which)


def _plain(which: Which) -> Access:
    kubectl: Argv = ("kubectl",)
    helm: Argv = ("helm",)
    if which.kubeconfig:
        kubectl += ("--kubeconfig", which.kubeconfig)
        helm += ("--kubeconfig", which.kubeconfig)
    if which.context:
        kubectl += ("--context", which.context)
        helm += ("--kube-context", which.context)
    return Access(kubectl=kubectl, helm=helm)
