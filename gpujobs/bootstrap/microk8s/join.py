"""Machines that join a microk8s as workers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujobs.bootstrap.errors import BootstrapError, CommandFailedError
from gpujobs.bootstrap.shell import Completed, Shell, checked
from gpujobs.bootstrap.step import Finding, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.shell import Argv
    from gpujobs.bootstrap.step import Machine

# Made by a join, and taken away by a leave.
CLUSTERED = "/var/snap/microk8s/current/var/lock/clustered.lock"
ADD_NODE: Argv = ("microk8s", "add-node", "--token-ttl", "600", "--format", "json")


@dataclass(frozen=True)
class Join:
    """A worker of the cluster that another machine decides.

    Attributes:
        control: How to reach that one; its token is good for ten minutes, and shown nowhere.
    """

    kind: ClassVar[str] = "microk8s-join"
    host: str
    title: str
    control: Shell

    @property
    def key(self) -> str:
        """A machine is in one cluster."""
        return "microk8s-join"

    def commands(self) -> tuple[str, ...]:
        """Both commands, without the token."""
        return (f"{' '.join(ADD_NODE)}  # on {self.control.name}", "microk8s join <secret> --worker")

    def check(self, machine: Machine) -> Finding:
        """Look whether it is in a cluster."""
        joined = machine.shell.run(("test", "-e", CLUSTERED)).ok
        return Finding(done=joined, why="" if joined else f"{self.host} is a cluster of its own")

    def apply(self, machine: Machine) -> None:
        """Get a token, and join with it.

        Raises:
            BootstrapError: The control plane gave no address to join.
            CommandFailedError: The join failed; the token is not in the message.
        """
        machine.journal.begin(self.key, self.kind, self.title, {})
        url = parse_url(checked(self.control, ADD_NODE).text)
        completed = machine.shell.run(("microk8s", "join", url, "--worker"), timeout_s=900)
        if not completed.ok:
            raise CommandFailedError(machine.name, redacted(completed, url))

    @staticmethod
    def undo(machine: Machine, _: Mapping[str, Any]) -> Undone:
        """Leave the cluster."""
        if machine.shell.run(("test", "-e", CLUSTERED)).ok:
            checked(machine.shell, ("microk8s", "leave"), timeout_s=900)
        return Undone()


# e.g. {"token": "92b2db23", "urls": ["10.0.0.4:25000/92b2db23/2c0cb3284b05"]}
def parse_url(text: str) -> str:
    """Where to join, from ``microk8s add-node --format json``.

    Raises:
        BootstrapError: It says no address.
    """
    try:
        urls: list[str] = json.loads(text)["urls"]
        return urls[0]
    except (ValueError, KeyError, IndexError) as e:
        raise BootstrapError(
            "`microk8s add-node` names no address to join.", next_step="Run it on the control plane to see why."
        ) from e


def redacted(completed: Completed, secret: str) -> Completed:
    """The same answer without the token, for a message."""
    token = secret.encode()
    return Completed(
        tuple(word.replace(secret, "<secret>") for word in completed.argv),
        completed.exit_code,
        completed.stdout.replace(token, b"<secret>"),
        completed.stderr.replace(token, b"<secret>"),
    )
