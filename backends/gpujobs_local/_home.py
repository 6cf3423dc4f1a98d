"""Where a target keeps what: the record file, and a directory per job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpujobs_local._store import Store

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The directory of one target: ``STATE_DIR/local/TARGET``.

    ::

        jobs.sqlite3           the records
        schedule.lock          held while somebody hands out GPUs
        next.lock              held while somebody waits to do so
        keeper.lock            held by the keeper
        gpus.json              the GPUs found lately
        locks/                 the locks of pretended GPUs
        private/17.json        values of secrets and inherited variables of job 17, until it ends
        jobs/17/files/         the files of job 17
               /0/lock         held by the supervisor of its task 0
               /0/0.log        what attempt 0 wrote
    """

    directory: Path
    target: str

    @property
    def store(self) -> Store:
        """The records."""
        return Store(self.directory)

    @property
    def gpu_cache(self) -> Path:
        """The GPUs found lately."""
        return self.directory / "gpus.json"

    def job(self, job_id: int) -> Path:
        """The directory of a job."""
        return self.directory / "jobs" / str(job_id)

    def task(self, job_id: int, idx: int) -> Path:
        """The directory of one task."""
        return self.job(job_id) / str(idx)

    def private(self, job_id: int) -> Path:
        """The values of its secrets and inherited variables."""
        return self.directory / "private" / f"{job_id}.json"

    def ref(self, name: str) -> str:
        """The text of a ref."""
        return f"local://{self.target}/{name}"
