"""What the machines of the cluster bring along: read-only, with pure parsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs._model import Model
from gpujobs.bootstrap.facts import MachineFacts, gather

if TYPE_CHECKING:
    from gpujobs.bootstrap.kubernetes.facts import ClusterFacts
    from gpujobs.bootstrap.shell import Shell

# The operator says so of nodes whose driver it found and left alone.
PREINSTALLED = ("nvidia.com/gpu.deploy.driver", "pre-installed")

# A containerd or CRI-O whose configuration names NVIDIA's runtime.
_TOOLKIT = """
command -v nvidia-container-runtime >/dev/null || exit 1
grep -rqs nvidia-container-runtime /etc/containerd/config.toml /etc/containerd/conf.d /etc/crio
"""


class HostFacts(Model):
    """What is there before the operator.

    Attributes:
        driver: Whether the GPU nodes have an NVIDIA driver, as far as can be seen.
        toolkit: Whether the container runtime already knows NVIDIA's.
        a_node: Whether the machine that was looked at is a node of the cluster, so that its files matter.
        unseen: Nodes whose driver could not be seen from here.
        machine: What the machine is.
    """

    driver: bool = False
    toolkit: bool = False
    a_node: bool = False
    unseen: tuple[str, ...] = ()
    machine: MachineFacts | None = None


def gather_host(shell: Shell, cluster: ClusterFacts) -> HostFacts:
    """Look at the machine, and at what the nodes' labels say of the others.

    Raises:
        UnavailableError: The machine cannot be reached.
    """
    machine = gather(shell)
    toolkit = shell.run(("sh", "-c", _TOOLKIT)).ok
    return judge(machine, cluster, toolkit=toolkit)


def judge(machine: MachineFacts, cluster: ClusterFacts, *, toolkit: bool) -> HostFacts:
    """What these facts mean, as a pure function."""
    here = next((node for node in cluster.nodes if machine.hostname in {node.name, _hostname(node.labels)}), None)
    others = [node for node in cluster.nodes if node is not here]
    name, value = PREINSTALLED
    labelled = [node for node in others if node.labels.get(name) == value]
    known = here is not None and (machine.driver != "" or not others)
    driver = (here is not None and machine.driver != "") or bool(labelled)
    return HostFacts(
        driver=driver,
        toolkit=toolkit and here is not None and not others,
        a_node=here is not None,
        unseen=() if driver or known else tuple(node.name for node in others),
        machine=machine,
    )


def _hostname(labels: dict[str, str]) -> str:
    return labels.get("kubernetes.io/hostname", "")
