"""Where the machines of a cluster reach each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpujobs.bootstrap.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.slurm.wish import SlurmWish
    from gpujobs.bootstrap.step import Machine

_LOOPBACK = "127.0.0.1"


def of(wish: SlurmWish, machines: Mapping[str, Machine]) -> dict[str, str]:
    """An IPv4 address of each machine that all the others reach; one machine alone needs none but the loopback.

    Raises:
        RefusedError: A machine's name cannot be resolved, or leads to itself everywhere.
    """
    if len(machines) == 1:
        return dict.fromkeys(machines, _LOOPBACK)
    controller = machines[wish.controller].shell
    found = {name: _resolved(controller, name) for name in machines if name != wish.controller}
    some_node = next(iter(found.values()))
    # The controller's address is the one from which it reaches a node: it may be called localhost here.
    return {wish.controller: _source(controller, some_node), **found}


def _resolved(shell: Shell, destination: str) -> str:
    host = destination.rpartition("@")[2]
    address = parse_hosts(shell.run(("getent", "ahostsv4", host)).text)
    if not address or address.startswith("127."):
        raise RefusedError(
            f"{shell.name} cannot resolve {host!r}" + (f": it is {address} there." if address else "."),
            next_step=f"Put the address of {host} into the name server, or into /etc/hosts on {shell.name}.",
        )
    return address


def _source(shell: Shell, address: str) -> str:
    source = parse_route(shell.run(("ip", "-4", "route", "get", address)).text)
    if not source:
        raise RefusedError(f"{shell.name} has no route to {address}.", next_step="Mend the network between them first.")
    return source


# 10.77.0.3       STREAM n2
def parse_hosts(text: str) -> str:
    """The first address of ``getent ahostsv4``."""
    return next(iter(text.split()), "")


# 10.77.0.3 dev eth0 src 10.77.0.2 uid 0
def parse_route(text: str) -> str:
    """The source address of ``ip route get``."""
    found = re.search(r"\bsrc (\d+\.\d+\.\d+\.\d+)", text)
    return found[1] if found else ""
