"""The operations that a client asks for, each one round trip."""

from __future__ import annotations

import concurrent.futures
import os
import pwd
import shutil
import time
from typing import TYPE_CHECKING, Any

from gpujobs_slurm.remote import logs, processes, records

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 8
_LOOK_S = 0.1


def whoami() -> dict[str, Any]:
    """Who and where we are, and what of Slurm is to be found."""
    names = ("sbatch", "squeue", "scontrol", "scancel", "sacct", "srun", "apptainer", "singularity")
    path = processes.environment()["PATH"]
    return {
        "home": os.path.expanduser("~"),
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "uid": os.getuid(),
        "cwd": os.getcwd(),
        "programs": [name for name in names if shutil.which(name, path=path)],
    }


def submit(
    root: str, name: str, files: dict[str, bytes], nonce: str, argv: list[str], timeout: float
) -> dict[str, Any]:
    """Claim a key and send its script; ``{"taken": [record, index]}`` where the key was claimed before."""
    try:
        claimed = records.claim(root, name, files, nonce)
    except OSError as e:
        return {"unclaimed": [e.errno, e.strerror, str(e.filename or root)]}
    if not claimed:
        return {"taken": records.resolve(root, name)}
    return send(root, name, nonce, argv, files["script"], timeout)


def submit_many(root: str, items: list[Any], argv: list[str], timeout: float) -> list[dict[str, Any]]:
    """Submit ``[name, files, nonce]`` of each, several at once."""

    def one(item: Any) -> dict[str, Any]:
        try:
            return submit(root, item[0], item[1], item[2], argv, timeout)
        except OSError as e:
            return {"error": f"{e.filename or root}: {e.strerror}"}

    if len(items) == 1:
        return [one(items[0])]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, items))


def send(
    root: str, name: str, nonce: str, argv: list[str], script: bytes, timeout: float, index: int | None = None
) -> dict[str, Any]:
    """Run sbatch for a claim; an id is written down before it is told."""
    done = processes.run(argv, stdin=script, timeout=timeout)
    job_id = processes.job_id(done["out"]) if done["rc"] == 0 else None
    if job_id is None:
        return done
    return {"id": job_id, "twin": records.note_id(root, name, nonce, job_id, index), "err": done["err"]}


def send_again(
    root: str, name: str, nonce: str, argv: list[str], timeout: float, index: int | None = None
) -> dict[str, Any]:
    """Send the script of a claim that has no id once more, or one element of it."""
    records.begin_again(root, name, nonce)
    with open(os.path.join(root, name, "script"), "rb") as file:
        script = file.read()
    return send(root, name, nonce, argv, script, timeout, index)


def adopt(root: str, name: str, job_id: str, index: int | None = None) -> None:
    """An id that was found in the queue, for a claim (or an element of it) whose sender never told it."""
    records.put(root, name, "sent." + job_id + ("" if index is None else f".{index}"), b"")
    records.point(root, name, job_id)


def claim_bulk(root: str, group: str, files: dict[str, bytes], names: list[str], nonce: str) -> list[int]:
    """Put a record for many keys in place and claim them; the indices whose keys were free."""
    if not records.claim(root, group, files, nonce):
        raise FileExistsError(17, "there is one already", os.path.join(root, group))
    return records.claim_elements(root, group, names)


def send_bulk(root: str, group: str, nonce: str, argv: list[str], script: bytes, timeout: float) -> dict[str, Any]:
    """Send a bulk's script, now that it is known which elements are ours."""
    records.put(root, group, "script", script)
    return send(root, group, nonce, argv, script, timeout)


def watch(root: str, ids: list[str], known: dict[str, int], timeout: float) -> dict[str, int]:
    """Wait until the job left something in one of these records; when each was last written to."""
    deadline = time.monotonic() + timeout
    while True:
        now = {job_id: _touched(os.path.join(root, "ids", job_id)) for job_id in ids}
        if timeout <= 0 or time.monotonic() >= deadline or any(known.get(i, t) != t for i, t in now.items()):
            return now
        time.sleep(min(_LOOK_S, timeout))


def _touched(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def delete(root: str, names: list[str]) -> None:
    """Remove records for good."""
    for name in names:
        records.forget(root, name)


def run(
    argv: list[str], stdin: bytes = b"", timeout: float = 60.0, env: dict[str, str] | None = None
) -> dict[str, Any]:
    """A Slurm command."""
    return processes.run(argv, stdin=stdin, timeout=timeout, env=env)


def run_many(argvs: list[list[str]], timeout: float) -> list[dict[str, Any]]:
    """Several Slurm commands, at once."""

    def one(argv: list[str]) -> dict[str, Any]:
        return processes.run(argv, timeout=timeout)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, argvs))


_ALL = (
    whoami,
    submit_many,
    send_again,
    adopt,
    claim_bulk,
    send_bulk,
    watch,
    delete,
    run,
    run_many,
    records.resolve,
    records.read,
    records.read_ids,
    records.twins,
    records.doubt,
    records.refused,
    records.put,
    records.put_many,
    records.listing,
    records.forget_elements,
    logs.log_files,
    logs.read_at,
    logs.tail_at,
)
OPERATIONS: dict[str, Callable[..., Any]] = {operation.__name__: operation for operation in _ALL}
