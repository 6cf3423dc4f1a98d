"""The record file: SQLite in WAL mode, so that clients, supervisors and the keeper share it.

A connection is opened per use: that is a third of a millisecond, and it is safe in threads and after a fork. Every
state change raises the counter ``changes`` (a trigger), which is what waiting watches.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from gpujobs.errors import ConfigError, GpuJobsError, RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator

SCHEMA = 1
"""The version of the tables below; a file with a higher one is left alone."""

_BUSY_S = 30.0
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    spec_hash TEXT NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    plan TEXT NOT NULL,         -- what render() gives
    wants TEXT NOT NULL,        -- what of both decides when it may start; the same text for all jobs that ask alike
    context TEXT NOT NULL,      -- what the submitting process was like: umask, visible GPUs
    size INTEGER NOT NULL,      -- elements; 1 for a plain job
    is_array INTEGER NOT NULL,
    parallelism INTEGER,
    priority INTEGER NOT NULL,
    submitted_at REAL NOT NULL,
    deadline_at REAL,
    start_by REAL
);
CREATE TABLE tasks (
    job_id INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'PENDING',
    attempt INTEGER NOT NULL DEFAULT 0,
    launch INTEGER NOT NULL DEFAULT 0,  -- how often a supervisor was started; its claim on the row
    supervisor INTEGER,
    boot TEXT,
    gpus TEXT NOT NULL DEFAULT '[]',
    cancel INTEGER NOT NULL DEFAULT 0,
    orphaned_at REAL,                   -- since when its processes are being ended without a supervisor
    started_at REAL,
    ended_at REAL,
    exit_code INTEGER,
    signal INTEGER,
    reason TEXT,
    message TEXT NOT NULL DEFAULT '',
    next TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job_id, idx)
) WITHOUT ROWID;
CREATE INDEX tasks_by_state ON tasks(state, job_id, idx);
INSERT INTO meta VALUES ('changes', 0);
CREATE TRIGGER changed AFTER UPDATE OF state, attempt, orphaned_at ON tasks
    BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER made AFTER INSERT ON jobs BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER gone AFTER DELETE ON jobs BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
"""


class Store:
    """The record file of one target."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "jobs.sqlite3"

    def exists(self) -> bool:
        """Whether anything was ever submitted here."""
        return self.path.exists()

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """One consistent look."""
        with self.translated(reading=True), self._connection() as db:
            db.execute("BEGIN")
            yield db

    @contextmanager
    def write(self, *, durable: bool = False) -> Generator[sqlite3.Connection]:
        """All or nothing, one writer at a time; ``durable`` also survives a power cut."""
        with self.translated(), self._connection() as db:
            if durable:
                db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def watch(self) -> Generator[sqlite3.Connection]:
        """A connection to ask again and again; every question sees what is there then."""
        with self.translated(reading=True), self._connection() as db:
            yield db

    def make(self) -> None:
        """See to it that the record file is there. Nothing else makes one: a removed state directory stays removed."""
        if not self.path.exists():
            with self.translated():
                self._create()

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        # One thread at a time uses it, but a generator may be closed by another than the one that opened it.
        address = f"file:{quote(os.fsencode(self.path))}?mode=rw"
        db = sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            db.row_factory = sqlite3.Row
            self._check_version(db)
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            yield db
        finally:
            db.close()

    def _check_version(self, db: sqlite3.Connection) -> None:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version != SCHEMA:
            raise ConfigError(
                f"The record file {self.path} has version {version}; this gpujobs knows version {SCHEMA}.",
                next_step="It was made by another gpujobs: upgrade gpujobs, or name another GPUJOBS_STATE_DIR.",
            )

    def _create(self) -> None:
        """Make the file whole before it gets its name: nobody ever sees half of one."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.directory / "create.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.path.exists():
                return
            new = self.directory / "jobs.sqlite3.new"
            for leftover in (new, Path(f"{new}-wal"), Path(f"{new}-shm")):
                leftover.unlink(missing_ok=True)
            db = sqlite3.connect(new, isolation_level=None)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {SCHEMA};COMMIT;")
                db.execute("INSERT INTO meta VALUES ('id', ?)", [os.urandom(8).hex()])
            finally:
                db.close()
            new.chmod(0o600)
            new.rename(self.path)
        finally:
            os.close(lock)

    @contextmanager
    def translated(self, *, reading: bool = False) -> Generator[None]:
        """What goes wrong in here with the file or its directory is told as one of our own errors.

        Raises:
            UnavailableError: Others use it for long; or, when reading, there is no room even for that: it may pass.
            RejectedError: Anything else.
        """
        try:
            yield
        except GpuJobsError:  # some are OSErrors too
            raise
        except sqlite3.DatabaseError as e:
            text = str(e)
            if "locked" in text or "busy" in text:
                raise UnavailableError(
                    f"The record file {self.path} is in use by others for more than {_BUSY_S:g} s.",
                    next_step="Try again.",
                ) from e
            kind = UnavailableError if reading and _is_full(text) else RejectedError
            raise kind(
                f"The record file {self.path} cannot be used: {text}.", next_step=_mend(text, self.directory)
            ) from e
        except OSError as e:
            raise RejectedError(
                f"The state directory {self.directory} cannot be used: {e.strerror or e}.",
                next_step=_mend(e.strerror or "", self.directory),
            ) from e


def _mend(text: str, directory: Path) -> str:
    lower = text.lower()
    if _is_full(text):
        return f"Make room on the file system of {directory}, or name another GPUJOBS_STATE_DIR."
    if "readonly" in lower or "unable to open" in lower or "denied" in lower or "read-only" in lower:
        return f"Check who owns {directory} and may write it, or name another GPUJOBS_STATE_DIR."
    return f"Move {directory} away, or name another GPUJOBS_STATE_DIR."


def _is_full(text: str) -> bool:
    return any(word in text.lower() for word in ("full", "no space", "disk i/o"))
