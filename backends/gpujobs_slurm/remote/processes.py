"""Run Slurm's commands with an environment of our own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from typing import Any

KEPT = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT")
PASSED = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "KRB5CCNAME")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
NOT_FOUND = 127
TIMED_OUT = 124
_JOB_ID = re.compile(r"^(\d+)(?:;\S+)?\s*$", re.MULTILINE)


def environment() -> dict[str, str]:
    """What Slurm's commands, and so the jobs, get to see: nothing of the caller's shell but who and where."""
    env = {k: os.environ[k] for k in (*KEPT, *PASSED) if os.environ.get(k)}
    sbatch = shutil.which("sbatch")
    found = os.path.dirname(sbatch) if sbatch else ""
    env["PATH"] = SYSTEM_PATH if not found or found in SYSTEM_PATH.split(":") else found + ":" + SYSTEM_PATH
    return env


def run(
    argv: list[str],
    stdin: bytes = b"",
    timeout: float = 60.0,
    cwd: str | None = None,
    env: dict[str, str] | None = None,
) -> dict[str, Any]:
    """``{"rc", "out", "err"}`` of a command; 127 when there is none, 124 when it took too long and was ended."""
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd if cwd and os.path.isdir(cwd) else None,
            env=dict(environment(), **(env or {})),
            start_new_session=True,  # a Ctrl-C at the terminal must not end a submission half-way
        )
    except OSError as e:
        return {"rc": NOT_FOUND, "out": b"", "err": f"{argv[0]}: {e.strerror}".encode()}
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        text = f"{argv[0]} gave no answer within {timeout:g} s"
        return {"rc": TIMED_OUT, "out": b"", "err": text.encode()}
    return {"rc": process.returncode, "out": out, "err": err}


def job_id(out: bytes) -> str | None:
    """The id in what ``sbatch --parsable`` printed, also below a site's banner."""
    found = _JOB_ID.findall(out.decode("utf-8", "replace"))
    return str(found[-1]) if found else None
