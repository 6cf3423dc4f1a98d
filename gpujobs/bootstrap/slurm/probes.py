"""What is there of Slurm on a machine: read-only probes with pure parsers."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from gpujobs._model import Model
from gpujobs.bootstrap.facts import MachineFacts, gather

if TYPE_CHECKING:
    from gpujobs.bootstrap.shell import Shell
    from gpujobs.bootstrap.step import Machine

CONFIGURATION = ("/etc/slurm/slurm.conf", "/etc/slurm/gres.conf", "/etc/slurm/cgroup.conf", "/etc/slurm/slurmdbd.conf")
_DAEMONS = ("slurmctld", "slurmd", "slurmdbd")

# $@ = files. What apt knows, which of the files hold something, which daemons run.
_THERE = """
apt-cache policy slurmctld slurmd 2>/dev/null
for f; do [ ! -s "$f" ] || echo "file $f"; done
ps -eo comm= | grep -x -E 'slurmctld|slurmd|slurmdbd' | sort -u | sed 's/^/runs /'
"""

# What the distributions that are set up ship; apt-cache, once its lists are there, knows better.
RELEASES = {
    ("debian", "12"): "22.05",
    ("debian", "13"): "24.11",
    ("ubuntu", "22.04"): "21.08",
    ("ubuntu", "24.04"): "23.11",
}


class SlurmFacts(Model):
    """A machine of a cluster as it was found.

    Attributes:
        machine: What it is.
        address: Where the others reach it.
        version: The Slurm that is installed or would be: ``22.05.8``.
        installed: Whether it is.
        foreign_files: Configuration files that somebody else wrote.
        foreign_daemons: Slurm daemons that run and were not started by a bootstrap.
        source_missing: Whether the directory of packages that was named is not there, or has no Slurm.
    """

    machine: MachineFacts
    address: str
    version: str
    installed: bool = False
    foreign_files: tuple[str, ...] = ()
    foreign_daemons: tuple[str, ...] = ()
    source_missing: bool = False

    @property
    def release(self) -> tuple[int, int]:
        """Year and month of the version: what Slurm's features follow."""
        year, month = self.version.split(".")[:2]
        return int(year), int(month)


def gather_slurm(machine: Machine, *, address: str, source: str = "") -> SlurmFacts:
    """Look at a machine that is, or is to be, part of a cluster.

    Raises:
        UnavailableError: It cannot be reached.
    """
    facts = gather(machine.shell)
    there = machine.shell.run(("sh", "-c", _THERE, "there", *CONFIGURATION)).text
    installed, candidate = parse_policy(there)
    offline = _offline_version(machine.shell, source) if source else ""
    known = RELEASES.get((facts.os_id, facts.os_version), "0.0")
    return SlurmFacts(
        machine=facts,
        address=address or facts.address,
        version=parse_version(installed or offline or candidate) or known,
        installed=bool(installed),
        foreign_files=tuple(p for p in CONFIGURATION if f"file {p}\n" in there and not _ours(machine, f"file:{p}")),
        foreign_daemons=tuple(d for d in _DAEMONS if f"runs {d}\n" in there and not _ours(machine, f"service:{d}")),
        source_missing=bool(source) and not offline and not installed,
    )


def _offline_version(shell: Shell, source: str) -> str:
    command = f"cat $(ls {shlex.quote(source)}/slurmd_*.deb | head -n1) | dpkg-deb -f - Version"
    return shell.run(("sh", "-c", command)).text.strip()


def _ours(machine: Machine, key: str) -> bool:
    return machine.journal.find(key) is not None


# In the answer, below a line "slurmctld:", stand "  Installed: (none)" and "  Candidate: 22.05.8-4+deb12u3".
def parse_policy(text: str) -> tuple[str, str]:
    """The installed and the available version from apt-cache, "" for none; slurmd alone will do."""
    found = re.findall(r"^  (Installed|Candidate): (\S+)", text, re.MULTILINE)
    versions = {which: version for which, version in found if version != "(none)"}
    return versions.get("Installed", ""), versions.get("Candidate", "")


# 22.05.8-4+deb12u3      23.11.4-1.2ubuntu5      1:24.11.5-1
def parse_version(text: str) -> str:
    """Slurm's own version out of a package's."""
    found = re.match(r"(?:\d+:)?(\d+\.\d+(?:\.\d+)?)", text)
    return found[1] if found else ""
