"""The daemons of a cluster: how each is started, found and asked whether it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpujobs.bootstrap.slurm.conf import JWT_KEY, containment
from gpujobs.bootstrap.steps import RunningBefore, Service

if TYPE_CHECKING:
    from gpujobs.bootstrap.shell import Argv
    from gpujobs.bootstrap.slurm.probes import SlurmFacts
    from gpujobs.bootstrap.slurm.wish import SlurmWish

_ETC = "/etc/slurm"
REST_UNIT = "/etc/systemd/system/slurmrestd.service.d/gpujobs.conf"
REST_USER = "slurmrestd"

# Without systemd nobody hands the control groups of version 2 down: do it here, and put slurmd in one of its own.
_SLURMD_V2 = """
cd /sys/fs/cgroup
mkdir -p system.slice/slurmd.service
for c in cpuset cpu memory pids; do
  echo "+$c" > cgroup.subtree_control 2>/dev/null
  echo "+$c" > system.slice/cgroup.subtree_control 2>/dev/null
done
echo $$ > system.slice/slurmd.service/cgroup.procs
exec slurmd
"""
# $1 = user, then slurmrestd's words. It stays in the foreground, so it is sent to the background here.
_REST = """
u=$1; shift
install -o "$u" -m 644 /dev/null /run/slurmrestd.pid
export SLURM_JWT=daemon
setsid -f runuser -u "$u" -- sh -c 'echo $$ > /run/slurmrestd.pid; exec slurmrestd "$@"' rest "$@" \
  > /var/log/slurm/slurmrestd.log 2>&1 < /dev/null
"""
# slurmd leaves its control groups behind, named after the node; each goes only when nothing runs in it.
_SWEEP = """
find /sys/fs/cgroup -depth -type d \\( -path '*/slurm_'"$1"'/*' -o -name slurm_"$1" -o -path '*/slurm/uid_*' \
  -o -path '*/slurmstepd.scope/*' -o -name slurmstepd.scope \\) -exec rmdir {} \\; 2>/dev/null
true
"""


@dataclass(frozen=True)
class Daemon:
    """One daemon, whatever machine it is on."""

    title: str
    unit: str
    program: str
    start: tuple[Argv, ...]
    pid_file: str
    watches: tuple[str, ...]
    ready: Argv
    log: str
    after_stop: tuple[Argv, ...] = ()

    def before(self, host: str, *, systemd: bool) -> RunningBefore:
        """The note of whether it ran before, which belongs ahead of its files."""
        return RunningBefore(host, self.unit, self.program, systemd, self.start, self.pid_file)

    def service(self, host: str, *, systemd: bool) -> Service:
        """The step that has it run."""
        return Service(
            host,
            self.title,
            self.unit,
            self.program,
            systemd,
            self.start,
            self.pid_file,
            watches=self.watches,
            ready=self.ready,
            log=self.log,
            after_stop=self.after_stop,
        )


MUNGE = Daemon(
    "Run munge, by which the machines trust each other",
    "munge",
    "munged",
    (
        ("install", "-d", "-o", "munge", "-g", "munge", "-m", "755", "/run/munge"),
        ("runuser", "-u", "munge", "--", "/usr/sbin/munged"),
    ),
    "/run/munge/munged.pid",
    ("/etc/munge/munge.key",),
    ("munge", "-n", "-o", "/dev/null"),
    "/var/log/munge/munged.log",
)

MARIADB = Daemon(
    "Run the database",
    "mariadb",
    "mariadbd",
    (("/etc/init.d/mariadb", "start"),),
    "/run/mysqld/mysqld.pid",
    ("/etc/mysql/mariadb.conf.d/60-gpujobs-slurm.cnf",),
    ("mariadb", "-e", "SELECT 1"),
    "/var/log/mysql/error.log",
)

SLURMDBD = Daemon(
    "Run slurmdbd, which keeps the records",
    "slurmdbd",
    "slurmdbd",
    (("slurmdbd",),),
    "/run/slurmdbd.pid",
    (f"{_ETC}/slurmdbd.conf", "/etc/munge/munge.key"),
    ("sacctmgr", "-n", "show", "cluster"),
    "/var/log/slurm/slurmdbd.log",
)


def slurmctld(wish: SlurmWish) -> Daemon:
    """The daemon that decides."""
    tokens = (JWT_KEY,) if wish.rest else ()
    return Daemon(
        "Run slurmctld, which decides",
        "slurmctld",
        "slurmctld",
        (("slurmctld",),),
        "/run/slurmctld.pid",
        (f"{_ETC}/slurm.conf", f"{_ETC}/gres.conf", f"{_ETC}/cgroup.conf", "/etc/munge/munge.key", *tokens),
        ("sh", "-c", "scontrol ping | grep -q 'is UP'"),
        "/var/log/slurm/slurmctld.log",
    )


def slurmd(facts: SlurmFacts) -> Daemon:
    """The daemon of a node, started for its control groups."""
    by_hand = containment(facts) == "v2" and not facts.machine.systemd
    return Daemon(
        "Run slurmd, which runs the jobs",
        "slurmd",
        "slurmd",
        (("sh", "-c", _SLURMD_V2) if by_hand else ("slurmd",),),
        "/run/slurmd.pid",
        (f"{_ETC}/slurm.conf", f"{_ETC}/gres.conf", f"{_ETC}/cgroup.conf", "/etc/munge/munge.key"),
        (),
        "/var/log/slurm/slurmd.log",
        (("sh", "-c", _SWEEP, "sweep", facts.machine.hostname),),
    )


def rest_words(wish: SlurmWish, facts: SlurmFacts) -> Argv:
    """Slurmrestd's own words: who may ask, what it serves, where it listens."""
    # It ends itself where it is to serve slurmdbd, as it is unless told otherwise, and there is none.
    if facts.release >= (23, 11):
        served: Argv = ("-s", "slurmctld,slurmdbd" if wish.accounting else "slurmctld")
    elif wish.accounting:
        served = ()
    else:
        served = ("-s", "openapi/v0.0.38" if facts.release >= (22, 5) else "openapi/v0.0.37")
    return ("-a", "rest_auth/jwt", *served, wish.rest_address)


def slurmrestd(wish: SlurmWish, facts: SlurmFacts) -> Daemon:
    """The daemon that answers HTTP."""
    host, _, port = wish.rest_address.rpartition(":")
    reached = "127.0.0.1" if host in {"0.0.0.0", "", "::"} else host  # noqa: S104  # where to ask, not to listen
    return Daemon(
        "Run slurmrestd, which answers HTTP",
        "slurmrestd",
        "slurmrestd",
        (("sh", "-c", _REST, "rest", REST_USER, *rest_words(wish, facts)),),
        "/run/slurmrestd.pid",
        (f"{_ETC}/slurm.conf", REST_UNIT, JWT_KEY),
        ("bash", "-c", 'exec 3<>"/dev/tcp/$0/$1"', reached, port),
        "/var/log/slurm/slurmrestd.log",
    )


def rest_unit(wish: SlurmWish, facts: SlurmFacts) -> str:
    """The drop-in for the package's unit, which would listen on a socket file as root."""
    words = " ".join(rest_words(wish, facts))
    return (
        f"[Service]\nUser={REST_USER}\nGroup={REST_USER}\nEnvironment=SLURM_JWT=daemon\n"
        f"ExecStart=\nExecStart=/usr/sbin/slurmrestd {words}\n"
    )
