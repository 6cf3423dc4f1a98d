"""What is there of microk8s on a machine: read-only, with pure parsers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpujobs._model import Model
from gpujobs.bootstrap.facts import MachineFacts, gather
from gpujobs.bootstrap.shell import checked

if TYPE_CHECKING:
    from gpujobs.bootstrap.shell import Shell

_OTHERS = ("kubelet", "k3s-server", "k3s-agent", "k0s", "rke2")
# $1 = the user that was named, or nothing.
_WHO = 'u=${1:-${SUDO_USER:-$(id -un)}}; getent passwd "$u"; id -gn -- "$u"'


class Microk8sFacts(Model):
    """A machine as it was found.

    Attributes:
        snapd: Whether there is a snap command.
        channel: The channel of the microk8s that is installed, or "".
        user: Who is to use it; "" where there is no such user.
        home: Where that user's files are.
        group: That user's own group.
        other: Another Kubernetes that runs here, or "".
        snap_files: The .snap and .assert files of the directory that was named.
    """

    machine: MachineFacts
    snapd: bool
    channel: str = ""
    user: str = ""
    home: str = ""
    group: str = ""
    other: str = ""
    snap_files: tuple[str, ...] = ()


def gather_microk8s(shell: Shell, *, user: str, directory: str) -> Microk8sFacts:
    """Look at a machine.

    Raises:
        UnavailableError: It cannot be reached.
    """
    listed = shell.run(("snap", "list", "microk8s"))
    who = shell.run(("sh", "-c", _WHO, "who", user)).text.splitlines()
    account = who[0].split(":") if who and ":" in who[0] else []
    found = shell.run(("find", directory, "-maxdepth", "1", "-name", "microk8s*")).text.split() if directory else []
    processes = checked(shell, ("ps", "-eo", "comm=")).text.split()
    return Microk8sFacts(
        machine=gather(shell),
        snapd=shell.run(("snap", "version")).ok,
        channel=parse_tracking(listed.text) if listed.ok else "",
        user=account[0] if account else "",
        home=account[5] if account else "",
        group=who[1] if account else "",
        other="" if listed.ok else next((name for name in processes if name in _OTHERS), ""),
        snap_files=tuple(sorted(found)),
    )


# Name      Version  Rev   Tracking       Publisher   Notes
# microk8s  v1.35.0  8511  1.35/stable    canonical✓  classic,held
def parse_tracking(text: str) -> str:
    """The channel in ``snap list microk8s``."""
    found = re.search(r"^microk8s\s+\S+\s+\S+\s+(\S+)", text, re.MULTILINE)
    return found[1] if found else ""
