"""Running a command beside a running job: in its directory, with its environment, on its GPUs."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

from gpujobs.errors import NotFoundError, RejectedError
from gpujobs.results import ExecResult
from gpujobs_local import _records
from gpujobs_local._locks import MARK, mark_of
from gpujobs_local._looking import one
from gpujobs_local._processes import carrying, environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpujobs.refs import Ref
    from gpujobs_local._home import Home
    from gpujobs_local._processes import Process

_PATIENCE_S, _LOOK_S = 10.0, 0.02


def run(home: Home, ref: Ref, argv: Sequence[str], *, replica: int, stdin: bytes | None) -> ExecResult:
    """Run it and give what it wrote."""
    env, workdir = _inside(home, ref, replica)
    try:
        done = subprocess.run(list(argv), env=env, cwd=workdir, input=stdin or b"", capture_output=True, check=False)
    except OSError as e:
        raise _cannot_run(argv, e) from e
    return ExecResult(_code(done.returncode), done.stdout, done.stderr)


def run_interactive(home: Home, ref: Ref, argv: Sequence[str], *, replica: int) -> int:
    """Run it on this process's own terminal; its exit code."""
    env, workdir = _inside(home, ref, replica)
    try:
        return _code(subprocess.run(list(argv), env=env, cwd=workdir, check=False).returncode)
    except OSError as e:
        raise _cannot_run(argv, e) from e


def _inside(home: Home, ref: Ref, replica: int) -> tuple[dict[bytes, bytes], Path]:
    """(environment, directory) of the running task."""
    with home.store.read() as db:
        found = one(db, ref)
        store_id = _records.meta(db, "id") or ""
    # The number of a replica is the index of its element; the ref of one element means just that one.
    tasks = [t for t in found.tasks if t["idx"] == replica]
    if not tasks and replica == 0 and len(found.tasks) == 1:
        tasks = found.tasks
    if not tasks or tasks[0]["state"] != "RUNNING":
        raise NotFoundError(
            f"Nothing of {ref} is running as replica {replica}.", next_step="`gpujobs status` shows where it stands."
        )
    mark = mark_of(store_id, tasks[0]["job_id"], tasks[0]["idx"])
    processes = _processes(mark)
    if not processes:
        raise NotFoundError(f"{ref} has no process at the moment.", next_step="Try again.")
    first = min(processes, key=lambda p: p.started)
    workdir = _records.workdir(json.loads(found.job["plan"]), json.loads(found.job["context"]))
    return environment(first.pid), workdir


def _processes(mark: str) -> list[Process]:
    """Those of the task; it is RUNNING a moment before its first one is there."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := carrying([(MARK, mark)])) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return found


def _cannot_run(argv: Sequence[str], error: OSError) -> RejectedError:
    return RejectedError(
        f"{argv[0]!r} cannot be run beside the job: {error.strerror}.", next_step="Give its full path."
    )


def _code(status: int) -> int:
    return 128 - status if status < 0 else status
