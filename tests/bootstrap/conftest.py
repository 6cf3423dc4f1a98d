"""A machine of files only: this one, below a temporary directory and without root."""

import grp
import os
import pwd
from pathlib import Path

import pytest

from gpujobs.bootstrap import Journal, LocalShell, Machine


@pytest.fixture
def me() -> str:
    """The user and group that run the tests, as ``user:group``."""
    return f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"


@pytest.fixture
def machine(tmp_path: Path, me: str) -> Machine:
    """This machine, with its journal below the temporary directory."""
    shell = LocalShell("here")
    state, backups = str(tmp_path / "gpujobs/bootstrap"), str(tmp_path / "backups")
    return Machine("here", shell, Journal(shell, "test", directory=state, backups=backups, user=me))


@pytest.fixture
def lock_file(tmp_path: Path) -> str:
    """A lock of this test's own."""
    return str(tmp_path / "lock")
