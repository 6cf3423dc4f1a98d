"""Job records and HTTP, with the real database and the real daemons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.live.bootstrap.conftest import Bed, Box

HOST = ("--host", "root@c1")


def turned_off(bed: Bed, box: Box) -> None:
    """Turn both off: what came for them goes, the rest works and has lost nothing, and a second run changes nothing."""
    kept = box.sh(
        "sha256sum /etc/slurm/gres.conf /etc/slurm/cgroup.conf /etc/munge/munge.key; ls /var/spool/slurm/ctld"
    )
    words = ("slurm", "apply", *HOST, "--no-accounting", "--no-rest", "--yes", "--json")

    ran = bed.bootstrap(*words)

    assert ran.exit_code == 0, ran.err
    assert "slurm_acct_db stays" in ran.err
    assert box.processes() == {"munged", "slurmctld", "slurmd"}
    assert json.loads(bed.bootstrap(*words).out)["changed"] == []
    assert bed.bootstrap("slurm", "verify", *HOST).exit_code == 0
    packages = (
        "dpkg-query -W -f '${db:Status-Status} ${Package}\n' | grep -E 'slurmdbd|slurmrestd|mariadb-server|jwt-plugin'"
    )
    assert box.sh(f"{packages} || true") == ""
    box.sh("test -s /var/log/slurm/slurmctld.log; ! id slurmrestd; ! test -e /etc/slurm/jwt_hs256.key")
    again = box.sh(
        "sha256sum /etc/slurm/gres.conf /etc/slurm/cgroup.conf /etc/munge/munge.key; ls /var/spool/slurm/ctld"
    )
    assert set(kept.split()) <= set(again.split())


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

    turned_off(bed, box)
    assert bed.bootstrap("slurm", "apply", *HOST, "--accounting", "--yes").exit_code == 0
    assert "COMPLETED" in box.sh("sacct -n -P -X -o State")

    undone = bed.bootstrap("slurm", "undo", *HOST, "--yes", "--json")
    assert undone.exit_code == 0, undone.err
    assert any("slurm_acct_db stays" in kept for kept in json.loads(undone.out)["kept"])
    data = ("/var/spool/slurm", "/var/lib/mysql")
    assert {path: state for path, state in box.tree().items() if not path.startswith(data)} == bare
    assert box.processes() == set()
