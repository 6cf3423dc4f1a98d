"""Who has only a kubeconfig keeps the journal at home, and looking makes no file."""

from pathlib import Path

from gpujobs.bootstrap import LocalShell
from gpujobs.bootstrap._lock import LOCK_FILE
from gpujobs.bootstrap.journal import STATE_DIRECTORY
from gpujobs.bootstrap.kubernetes.place import place_of

WHO = """#!/bin/sh
case $1 in -u) echo {uid};; -un) echo {user};; -gn) echo {user};; esac
"""


def shell(tmp_path: Path, uid: int, user: str) -> LocalShell:
    """A machine where we are that user."""
    program = tmp_path / "bin/id"
    program.parent.mkdir()
    program.write_text(WHO.format(uid=uid, user=user))
    program.chmod(0o755)
    clean = ("env", "-u", "XDG_STATE_HOME", "-u", "XDG_RUNTIME_DIR")
    return LocalShell("box", prefix=(*clean, f"HOME={tmp_path}", f"PATH={program.parent}:/usr/bin:/bin"))


def test_a_user_keeps_it_at_home(tmp_path: Path) -> None:
    """State, backups and lock below the home directory; nothing is made by looking."""
    place = place_of(shell(tmp_path, 1000, "alice"))

    assert place.directory == f"{tmp_path}/.local/state/gpujobs/bootstrap"
    assert place.lock_file == f"{tmp_path}/.gpujobs-bootstrap.lock"
    assert place.user == "alice:alice"
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_root_keeps_it_with_the_machine(tmp_path: Path) -> None:
    """Where every administrator of the machine finds it."""
    place = place_of(shell(tmp_path, 0, "root"))

    assert (place.directory, place.lock_file, place.user) == (STATE_DIRECTORY, LOCK_FILE, "root:root")
