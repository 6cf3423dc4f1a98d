"""What gpujobs sets up, gpujobs submits to."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.live.bootstrap.conftest import Bed, Box


def test_the_slurm_backend_runs_on_it(bed: Bed, boot: Callable[..., Box], tmp_path: Path) -> None:
    """A job of gpujobs, sent over ssh to a cluster of gpujobs, prints its GPU and ends with its own exit code."""
    boot("c1", suite="trixie", gpus=1)
    assert bed.bootstrap("slurm", "apply", "--host", "root@c1", "--yes").exit_code == 0
    target = f'backend = "slurm"\ntransport = "ssh"\nhost = "root@c1"\nssh_options = ["-F", "{bed.ssh_config}"]\n'
    (tmp_path / "gpujobs.toml").write_text(f'default = "lab"\n[targets.lab]\n{target}')
    there = ["nsenter", f"--net=/proc/{bed.switch}/ns/net", "--", sys.executable, "-m", "gpujobs.cli"]
    environment = {
        **os.environ,
        "GPUJOBS_CONFIG": str(tmp_path / "gpujobs.toml"),
        "GPUJOBS_STATE_DIR": str(tmp_path / "state"),
    }

    ended = subprocess.run(
        [*there, "run", "--gpus", "1", "--", "sh", "-c", "nvidia-smi -L; exit 7"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (ended.returncode, ended.stdout[:6]) == (7, "GPU 0:"), ended.stderr
