"""The operations that a client asks for, each one round trip."""

from __future__ import annotations

import concurrent.futures
import os
import pwd
import shutil
import time
from typing import TYPE_CHECKING, Any

from gpujobs_slurm.remote import bulks, logs, processes, records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def submit_many(root: str, items: list[Any], argv: list[str], timeout: float) -> list[dict[str, Any]]:
    """Submit ``[key, whether it is new, files, nonce]`` of each, several at once."""

    def one(item: Any) -> dict[str, Any]:
        try:
            return _submit(root, item, argv, timeout)
        except OSError as e:
            return {"error": f"{e.filename or root}: {e.strerror}"}

    return _each(one, items)


def _each(act: Callable[[Any], dict[str, Any]], items: Sequence[Any]) -> list[dict[str, Any]]:
    if len(items) == 1:
        return [act(items[0])]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE - 1) as pool:
        others = pool.map(act, items[1:])
        return [act(items[0]), *others]  # this thread does its share: it may have started something ahead


def _submit(root: str, item: list[Any], argv: list[str], timeout: float) -> dict[str, Any]:
    """Claim a key and send its script; ``{"taken": [record, index]}`` where the key was claimed before.

    sbatch is started first, as starting takes it longer than a claim takes us; it does nothing before it has a script.
    """
    key, made, files, nonce = item
    name = bulks.name_of(key)
    if not made:
        bulks.stand_apart(root, key)
    taken = bulks.member(root, key) or (None if made else records.resolve(root, name))
    if taken:
        return {"taken": taken}
    sbatch = processes.start(argv)
    try:
        try:
            claimed = records.claim(root, name, files, nonce)
        except OSError as e:
            return _unclaimed(root, e)
        if not claimed:
            return {"taken": records.resolve(root, name)}
        return _sent(root, name, nonce, sbatch.finish(files["script"], timeout))
    finally:
        sbatch.abort()


def _unclaimed(root: str, e: OSError) -> dict[str, Any]:
    return {"unclaimed": [e.errno, e.strerror, str(e.filename or root)]}


def _sent(root: str, name: str, nonce: str, done: dict[str, Any], indices: list[int] | None = None) -> dict[str, Any]:
    """What sbatch answered; an id is written down before it is told."""
    job_id = processes.job_id(done["out"]) if done["rc"] == 0 else None
    if job_id is None:
        return done
    return {"id": job_id, "twin": records.note_id(root, name, nonce, job_id, indices), "err": done["err"]}


def submit_bulks(root: str, items: list[Any], argv: list[str], timeout: float) -> list[dict[str, Any]]:
    """Submit ``[record, files, keys, whether they are new, nonce]`` of each as one array.

    ``free`` are the indices whose keys were ours. All keys of all are claimed before anything is sent.
    """
    new = len(items) == 1 and items[0][3]
    sbatch = processes.start(argv) if new else None  # for the reason given above
    try:
        try:
            frees: list[list[int]] = _claim_bulks(root, items)
        except OSError as e:
            for item in items:
                bulks.forget(root, item[0])
            return [dict(_unclaimed(root, e), free=[], taken={}) for _ in items]
        numbers = range(len(items))

        def one(number: int) -> dict[str, Any]:
            return _send_bulk(root, items[number], frees[number], sbatch, argv, timeout)

        return _each(one, numbers)
    finally:
        if sbatch is not None:
            sbatch.abort()


def _claim_bulks(root: str, items: list[Any]) -> list[list[int]]:
    for name, files, _, _, nonce in items:
        if not records.claim(root, name, files, nonce):
            raise FileExistsError(17, "there is one already", os.path.join(root, name))
    every = [key for item in items for key in item[2]]
    if bulks.claim_stem(root, every, [item[0] for item in items]):
        return [list(range(len(item[2]))) for item in items]
    return [bulks.claim_keys(root, item[0], item[2]) for item in items]


def _send_bulk(
    root: str, item: list[Any], free: list[int], sbatch: processes.Started | None, argv: list[str], timeout: float
) -> dict[str, Any]:
    name, files, keys, _, nonce = item
    others = sorted(set(range(len(keys))) - set(free))
    answer: dict[str, Any] = {"free": free, "taken": {str(i): bulks.resolve(root, keys[i]) for i in others}}
    try:
        if not free:
            bulks.refused(root, name, nonce)
            return answer
        for index in others:
            records.put(root, name, f"deleted.{index}", b"")
        if others or sbatch is None:
            sbatch = processes.start(argv + (["--array=" + bulks.ranges(free)] if others else []))
        answer.update(_sent(root, name, nonce, sbatch.finish(files["script"], timeout)))
    except OSError as e:
        answer["error"] = f"{e.filename or root}: {e.strerror}"
    return answer


def send_again(
    root: str, name: str, nonce: str, argv: list[str], timeout: float, indices: list[int] | None = None
) -> dict[str, Any]:
    """Send the script of a claim that has no id once more, or some elements of it."""
    records.begin_again(root, name, nonce)
    with open(os.path.join(root, name, "script"), "rb") as file:
        script = file.read()
    only = [] if indices is None else ["--array=" + bulks.ranges(indices)]
    return _sent(root, name, nonce, processes.run(argv + only, stdin=script, timeout=timeout), indices)


def adopt(root: str, name: str, job_id: str, indices: list[int] | None = None) -> None:
    """An id that was found in the queue, for a claim (or elements of it) whose sender never told it."""
    for mark in [job_id] if indices is None else [f"{job_id}.{index}" for index in indices]:
        records.put(root, name, "sent." + mark, b"")
    records.point(root, name, job_id)


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
        bulks.forget(root, name)


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
    submit_bulks,
    send_again,
    adopt,
    watch,
    delete,
    run,
    run_many,
    records.read,
    records.read_ids,
    records.twins,
    records.doubt,
    bulks.refused,
    records.put,
    records.put_many,
    records.listing,
    bulks.forget_elements,
    logs.log_files,
    logs.read_at,
    logs.tail_at,
)
OPERATIONS: dict[str, Callable[..., Any]] = {operation.__name__: operation for operation in _ALL}
