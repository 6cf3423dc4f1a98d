"""Job records that outlive slurmctld's memory: MariaDB and slurmdbd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.slurm import conf
from gpujobs.bootstrap.slurm.daemons import MARIADB, SLURMDBD
from gpujobs.bootstrap.steps import Command, File, Packages

if TYPE_CHECKING:
    from gpujobs.bootstrap.slurm.probes import SlurmFacts
    from gpujobs.bootstrap.slurm.wish import SlurmWish
    from gpujobs.bootstrap.step import Step

# https://slurm.schedmd.com/accounting.html#slurm-accounting-configuration-before-build asks for these.
_TUNING = "[mariadbd]\ninnodb_buffer_pool_size=256M\ninnodb_log_file_size=64M\ninnodb_lock_wait_timeout=900\n"

_CREATE = (
    f"CREATE DATABASE IF NOT EXISTS {conf.DATABASE}; "
    "CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED VIA unix_socket; "
    f"GRANT ALL ON {conf.DATABASE}.* TO 'slurm'@'localhost'"
)
# Debian's purge of slurmdbd deletes the log of slurmctld, which may go on running: have it begin another.
_REOPEN_LOG = "kill -USR2 $(cat /run/slurmctld.pid)"
_GRANTED = "SHOW GRANTS FOR 'slurm'@'localhost'"


def accounting_steps(wish: SlurmWish, controller: SlurmFacts) -> list[Step]:
    """The database, its user, and slurmdbd, all on the controller."""
    host, systemd = wish.controller, controller.machine.systemd
    return [
        Packages(
            host,
            "Install the database",
            ("mariadb-server",),
            source=wish.source,
            accounts=("mysql",),
            directories=("/etc/mysql",),
            leaves=("/var/lib/mysql",),
        ),
        File(host, "Tune the database for slurmdbd", MARIADB.watches[0], _TUNING),
        MARIADB.service(host, systemd=systemd),
        Command(
            host,
            "Make the database of the job records",
            "accounting-database",
            probe=("mariadb", "-N", "-e", _GRANTED),
            expect=rf"GRANT ALL PRIVILEGES ON `{conf.DATABASE}`",
            run=(("mariadb", "-e", _CREATE),),
            undo_run=(("mariadb", "-e", "DROP USER IF EXISTS 'slurm'@'localhost'"),),
            keeps=f"the database {conf.DATABASE} stays: it holds the records of your jobs",
        ),
        Packages(
            host,
            "Install slurmdbd",
            ("slurm-wlm-mysql-plugin", "slurmdbd"),
            source=wish.source,
            after_removal=("sh", "-c", _REOPEN_LOG),
        ),
        File(
            host,
            "Write slurmdbd.conf",
            "/etc/slurm/slurmdbd.conf",
            conf.slurmdbd_conf(controller),
            0o600,
            "slurm:slurm",
        ),
        SLURMDBD.service(host, systemd=systemd),
    ]
