"""HTTP with tokens: slurmrestd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.slurm.daemons import REST_UNIT, REST_USER, rest_unit, slurmrestd
from gpujobs.bootstrap.steps import Command, Directory, File, Packages

if TYPE_CHECKING:
    from gpujobs.bootstrap.slurm.probes import SlurmFacts
    from gpujobs.bootstrap.slurm.wish import SlurmWish
    from gpujobs.bootstrap.step import Step

_ADD = ("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", REST_USER)


def rest_steps(wish: SlurmWish, controller: SlurmFacts) -> list[Step]:
    """Slurmrestd on the controller, as a user of its own: it refuses to be root or Slurm's user."""
    host, systemd = wish.controller, controller.machine.systemd
    unit: list[Step] = [
        Directory(host, "Make the directory of slurmrestd's unit", REST_UNIT.rsplit("/", 1)[0]),
        File(host, "Have slurmrestd listen, and not as root", REST_UNIT, rest_unit(wish, controller)),
    ]
    return [
        Packages(host, "Install slurmrestd", ("slurmrestd",), source=wish.source),
        Command(
            host,
            "Make a user for slurmrestd",
            "rest-user",
            probe=("id", "-u", REST_USER),
            run=(_ADD,),
            undo_run=(("sh", "-c", 'userdel "$1" 2>/dev/null || ! id -u "$1" >/dev/null 2>&1', "remove", REST_USER),),
        ),
        *(unit if systemd else []),
        slurmrestd(wish, controller).service(host, systemd=systemd),
    ]
