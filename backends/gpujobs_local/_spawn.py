"""Starting a Python process of ours that outlives its starter, terminal and session."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from gpujobs.errors import RejectedError
from gpujobs_local._processes import SUPERVISOR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The shell starts it in the background and ends at once, so it is nobody's child: no zombie is left in a long-lived
# client, and no SIGCHLD handler of the embedding program sees it.
_DETACH = '"$@" </dev/null >>"$0" 2>&1 &'
# The starter's directories come last: one of them may hold a select.py of the user's own.
_PROGRAM = "import sys, json; sys.path += json.loads(sys.argv.pop(1)); from gpujobs_local.{0} import main; main()"
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "TZ")


def spawn(module: str, args: Sequence[str], *, mark: str, pass_fds: Sequence[int], log: Path) -> None:
    """Start ``gpujobs_local.MODULE``'s ``main`` detached, with these open files and a clean environment.

    Raises:
        RejectedError: There is no shell or no Python to start it with.
    """
    # -I -S: no user's site or start-up files, and half the time; the starter's own path says where we are installed.
    paths = json.dumps([os.path.abspath(p) for p in sys.path if p == "" or os.path.exists(p)])  # noqa: PTH100, PTH110
    # -X utf8: any text must pass to the job, whatever the locale of the starter.
    program = [_python(), "-I", "-S", "-X", "utf8", "-c", _PROGRAM.format(module), paths, *args]
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        subprocess.run(
            ["/bin/sh", "-c", _DETACH, str(log), *program],
            env={**env, SUPERVISOR: mark},
            pass_fds=tuple(pass_fds),
            stdin=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as e:
        raise RejectedError(
            f"The supervisor cannot be started: {e}.", next_step="Check that /bin/sh and Python run here."
        ) from e


def _python() -> str:
    # An embedding program may have no interpreter of its own.
    found = sys.executable or shutil.which(f"python{sys.version_info[0]}.{sys.version_info[1]}")
    if not found:
        raise RejectedError(
            "There is no Python interpreter to run a supervisor with.",
            next_step=f"Put python{sys.version_info[0]}.{sys.version_info[1]} on PATH.",
        )
    return found
