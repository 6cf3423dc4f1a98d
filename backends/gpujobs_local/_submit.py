"""Taking a submission: the row, its files and its secrets appear together or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpujobs.environment import inherited
from gpujobs.errors import ConflictError, GpuJobsError, NotFoundError, RejectedError
from gpujobs.refs import Ref
from gpujobs_local import _gpus, _plan, _private, _records
from gpujobs_local._command import base_path
from gpujobs_local._looking import find

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from gpujobs.backend import Submission, Submitted, Target
    from gpujobs_local._home import Home
    from gpujobs_local._settings import Settings

_AT_ONCE = 250
_NAME_ERRORS = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}


def submit(home: Home, target: Target, settings: Settings, items: Sequence[Submission]) -> list[Submitted]:
    """Take each once; the caller runs a pass afterwards."""
    results: list[Submitted] = []
    taking = _Taking(home, target, _context(home, settings))
    for start in range(0, len(items), _AT_ONCE):
        part = items[start : start + _AT_ONCE]
        try:
            with home.store.write(durable=True) as db:
                _records.set_meta(db, "settings", settings.dump())
                results += [taking.take(db, item) for item in part]
        except GpuJobsError as e:  # none of them was written down
            del results[start:]
            results += [e for _ in part]
    return results


class _Taking:
    """Writes submissions down, each wholly or not at all, many in one transaction."""

    def __init__(self, home: Home, target: Target, context: dict[str, Any]) -> None:
        self._home = home
        self._target = target
        self._context = context

    def take(self, db: sqlite3.Connection, item: Submission) -> Submitted:
        """The ref of one, or why it was refused."""
        db.execute("SAVEPOINT item")
        try:
            ref = self._take(db, item)
        except GpuJobsError as e:
            db.execute("ROLLBACK TO item")
            return e
        finally:
            if db.in_transaction:  # a full disk ends it
                db.execute("RELEASE item")
        return ref

    def _take(self, db: sqlite3.Connection, item: Submission) -> Ref:
        home, name = self._home, self._target.name
        plan = _plan.plan(item, self._target)
        private = {
            "secrets": {s.name: s.reveal() for s in item.spec.secrets},
            "inherited": inherited(item.spec.inherit_env, base_path()),
        }
        _private.check(private)
        known = _records.by_key(db, item.key)
        if known is not None:
            return _known(known, item, name)
        _check_upstream(db, plan, name)
        text = _plan.text(plan)
        job_id = _records.insert(db, plan, text, spec_hash=item.spec_hash, context=self._context, now=time.time())
        try:
            _write_files(home, job_id, item, private)
        except BaseException:
            shutil.rmtree(home.job(job_id), ignore_errors=True)  # no room: do not keep what little there is
            home.private(job_id).unlink(missing_ok=True)
            raise
        return Ref("local", name, str(job_id))


def _known(row: sqlite3.Row, item: Submission, target: str) -> Ref:
    ref = Ref("local", target, str(row["id"]))
    if row["spec_hash"] != item.spec_hash:
        raise ConflictError(
            f"The key {item.key!r} belongs to {ref}, which is another workload.",
            next_step="Give another key, or delete that one first.",
        )
    return ref


def _check_upstream(db: sqlite3.Connection, plan: dict[str, Any], target: str) -> None:
    for upstream in plan.get("after", ()):
        if not find(db, [upstream["id"]]):
            raise NotFoundError(
                f"after: there is no local://{target}/{upstream['id']}.",
                next_step="`gpujobs ps --all` shows what there is.",
            )


def _write_files(home: Home, job_id: int, item: Submission, private: dict[str, Any]) -> None:
    """Inside the transaction that makes the row, so that no supervisor sees the job without them."""
    directory = home.job(job_id)
    # A client killed in this place left files of an id that was never given out.
    shutil.rmtree(directory, ignore_errors=True)
    files = directory / "files"
    files.mkdir(mode=0o700, parents=True)
    directory.chmod(0o700)
    for name, content in item.spec.files.items():
        _write_file(files / name, name, content)
    if item.spec.script is not None:
        (directory / "script").write_text(item.spec.script, encoding="utf-8", newline="")
    _private.keep(home, job_id, private)


def _write_file(path: Path, name: str, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as e:
        if e.errno not in _NAME_ERRORS:
            raise
        raise RejectedError(
            f"files: {name!r} cannot be written: {e.strerror}.",
            next_step="Give it another name; one file cannot be a directory of another.",
        ) from e


def _context(home: Home, settings: Settings) -> dict[str, Any]:
    """What of the submitting process matters to its jobs: where it is, its umask, the GPUs it may see."""
    context: dict[str, Any] = {"cwd": _cwd(), "umask": _umask()}
    visible = visible_gpus(home, settings)
    if visible is not None:
        context["visible"] = visible
    return context


def visible_gpus(home: Home, settings: Settings) -> tuple[str, ...] | None:
    """The UUIDs of the GPUs that this process may see, or None where nothing hides any."""
    setting = os.environ.get("CUDA_VISIBLE_DEVICES")
    if settings.simulated is not None or setting is None:
        return None
    return tuple(d.uuid for d in _gpus.visible(_gpus.find(settings, home.gpu_cache), setting))


def _cwd() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # removed under us
        return "/"


def _umask() -> int:
    """Read without setting it, which would be seen by other threads."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022
