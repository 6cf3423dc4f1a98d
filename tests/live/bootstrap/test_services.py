"""Job records and HTTP, with the real database and the real daemons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.live.bootstrap.conftest import Bed, Box

HOST = ("--host", "root@c1")


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_records_and_http(bed: Bed, boot: Callable[..., Box], suite: str) -> None:
    """A finished job is in the database, a token opens slurmrestd, no secret is shown, and all of it goes again."""
    box = boot("c1", suite=suite)
    bare = box.tree()

    applied = bed.bootstrap("slurm", "apply", *HOST, "--accounting", "--rest", "--yes")
    assert applied.exit_code == 0, applied.err
    assert json.loads(bed.bootstrap("slurm", "apply", *HOST, "--yes", "--json").out)["changed"] == []

    proved = bed.bootstrap("slurm", "verify", *HOST, "--json")
    assert proved.exit_code == 0, proved.out
    assert [check["title"] for check in json.loads(proved.out)["checks"]][-2:] == [
        "The job is in the records (slurmdbd)",
        "slurmrestd takes a token",
    ]
    key = box.sh("base64 -w0 /etc/slurm/jwt_hs256.key")
    shown = bed.bootstrap("slurm", "plan", *HOST, "--json").out + applied.err + applied.out
    assert key not in shown
    assert box.sh("stat -c '%a %U' /etc/slurm/slurmdbd.conf /etc/slurm/jwt_hs256.key").splitlines() == [
        "600 slurm",
        "400 slurm",
    ]

    undone = bed.bootstrap("slurm", "undo", *HOST, "--yes", "--json")
    assert undone.exit_code == 0, undone.err
    assert any("slurm_acct_db stays" in kept for kept in json.loads(undone.out)["kept"])
    data = ("/var/spool/slurm", "/var/lib/mysql")
    assert {path: state for path, state in box.tree().items() if not path.startswith(data)} == bare
    assert box.processes() == set()
