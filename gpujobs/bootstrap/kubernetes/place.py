"""Where the journal of a cluster is kept: with root's things, or in the home of who has only a kubeconfig."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gpujobs.bootstrap._lock import LOCK_FILE
from gpujobs.bootstrap.journal import BACKUP_DIRECTORY, STATE_DIRECTORY, Journal
from gpujobs.bootstrap.shell import checked
from gpujobs.bootstrap.step import Machine

if TYPE_CHECKING:
    from gpujobs.bootstrap.shell import Shell

_WHO = """
id -u; id -un; id -gn
printf '%s\\n' "${XDG_STATE_HOME:-$HOME/.local/state}" "${XDG_RUNTIME_DIR:-$HOME}"
"""


class Place(NamedTuple):
    """Directories and owner of what a bootstrap keeps on a machine."""

    directory: str
    backups: str
    user: str
    lock_file: str


def place_of(shell: Shell) -> Place:
    """The place for whoever this shell runs as.

    Raises:
        UnavailableError: The machine cannot be reached.
    """
    uid, user, group, state, runtime = checked(shell, ("sh", "-c", _WHO)).text.splitlines()
    if uid == "0":
        return Place(STATE_DIRECTORY, BACKUP_DIRECTORY, f"{user}:{group}", LOCK_FILE)
    base = f"{state}/gpujobs"
    return Place(f"{base}/bootstrap", f"{base}/backups", f"{user}:{group}", f"{runtime}/.gpujobs-bootstrap.lock")


def machine_for(name: str, shell: Shell, what: str, place: Place) -> Machine:
    """The machine with the journal of one kind of bootstrap."""
    journal = Journal(shell, what, directory=place.directory, backups=place.backups, user=place.user)
    return Machine(name, shell, journal)
