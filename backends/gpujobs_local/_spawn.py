"""Starting a Python process of ours that outlives its starter, terminal and session."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gpujobs.errors import RejectedError
from gpujobs_local._processes import SUPERVISOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

# The shell starts it in the background and ends at once, so it is nobody's child: no zombie is left in a long-lived
# client, and no SIGCHLD handler of the embedding program sees it.
_DETACH = 'cd / && exec </dev/null >>"$0" 2>&1 && { "$@" & }'
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
        # Not subprocess: its error pipe would block us as long as a child lives that another thread forked meanwhile.
        shell = os.posix_spawn(
            "/bin/sh",
            ["/bin/sh", "-c", _DETACH, str(log), *program],
            {**env, SUPERVISOR: mark},
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, fd) for fd in pass_fds],  # clears close-on-exec
            setsid=True,
            setsigmask=[],
        )
    except OSError as e:
        raise _cannot_start(str(e)) from e
    with suppress(ChildProcessError):  # where the embedding program ignores its children
        status = os.waitpid(shell, 0)[1]
        if status:
            raise _cannot_start(f"the shell that starts it failed, see {log}")


def close_strangers(ours: Iterable[int]) -> None:
    """In what was spawned: close what it inherited but for the standard streams and these files."""
    known = {0, 1, 2, *ours}
    for fd in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208
        if fd not in known:
            with suppress(OSError):
                os.close(fd)


def note(error: Exception) -> None:
    """In what was spawned: a line for its log, if there is room for one."""
    with suppress(OSError):
        os.write(1, f"{time.strftime('%FT%T')} {error}\n".encode(errors="replace"))


def _cannot_start(why: str) -> RejectedError:
    return RejectedError(
        f"The supervisor cannot be started: {why}.", next_step="Check that /bin/sh and Python run here."
    )


def _python() -> str:
    # An embedding program may have no interpreter of its own.
    if sys.executable:
        return sys.executable
    import shutil  # noqa: PLC0415  # only here

    found = shutil.which(f"python{sys.version_info[0]}.{sys.version_info[1]}")
    if not found:
        raise RejectedError(
            "There is no Python interpreter to run a supervisor with.",
            next_step=f"Put python{sys.version_info[0]}.{sys.version_info[1]} on PATH.",
        )
    return found
