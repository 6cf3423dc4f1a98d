"""What the tests of the local backend share: a state directory with a client, and a look behind its back."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from gpujobs import Client, Config, GpuJob, State
from gpujobs_local._locks import mark_of
from gpujobs_local._recover import remnants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gpujobs import Job, Status

PATIENCE = 60.0


class Bench:
    """One state directory: a client of it, and its insides."""

    def __init__(self, directory: Path, options: str) -> None:
        self.directory = directory
        directory.mkdir()
        self.home = directory / "local" / "local"
        self.config = Config.parse(f'[targets.local]\nbackend = "local"\n{options}\n')
        self.client = Client(self.config, state_dir=directory)
        self._gates: list[Path] = []

    def submit(self, script: str, *args: str, **fields: Any) -> Job:
        """A job of a line of ``sh``; ``args`` are its ``$1``..."""
        key = fields.pop("idempotency_key", None)
        fields.setdefault("grace", 2)
        spec = GpuJob(command=["sh", "-c", script, "sh", *args], **fields)
        return self.client.submit(spec, idempotency_key=key)

    def run(self, script: str, *args: str, **fields: Any) -> tuple[Job, Status]:
        """Submit and wait for the end."""
        job = self.submit(script, *args, **fields)
        return job, job.wait(timeout=PATIENCE)

    def gated(self, script: str, **fields: Any) -> tuple[Job, Path]:
        """A job that waits until the file is there, and then runs the line of ``sh``."""
        gate = self.directory.parent / f"gate-{uuid.uuid4().hex}"
        self._gates.append(gate)
        return self.submit(f'until [ -e "$1" ]; do sleep 0.05; done; {script}', str(gate), **fields), gate

    def sleeper(self, **fields: Any) -> Job:
        """A job that runs until it is ended."""
        return self.submit("exec sleep 600", **fields)

    def text(self, job: Job, **query: Any) -> list[str]:
        """The lines of a job's log."""
        return [line.text for line in job.logs(**query)]

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it never was"
            time.sleep(0.02)

    def running(self, *jobs: Job) -> None:
        """Wait until these run."""
        for job in jobs:
            self.until(lambda job=job: job.status().state is State.RUNNING)  # type: ignore[misc]

    def says(self, job: Job, text: str) -> None:
        """Wait until a line of a job's log is that text."""
        self.until(lambda: text in self.text(job))

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask, or change, the record file itself."""
        with closing(sqlite3.connect(self.home / "jobs.sqlite3", timeout=10)) as db, db:
            return db.execute(query, values).fetchall()

    def supervisor(self, job: Job, idx: int = 0) -> int:
        """The pid of a running task's supervisor."""
        job_id = job.ref.id.partition("_")[0]
        self.until(lambda: self._supervisor(job_id, idx))
        return self._supervisor(job_id, idx)

    def _supervisor(self, job_id: str, idx: int) -> int:
        found = self.rows("SELECT supervisor FROM tasks WHERE job_id = ? AND idx = ?", job_id, idx)
        return int(found[0][0] or 0)

    def processes(self, job: Job, idx: int = 0) -> list[int]:
        """The pids of what lives of a task, but for its supervisor."""
        store = str(self.rows("SELECT value FROM meta WHERE name = 'id'")[0][0])
        return [p.pid for p in remnants(mark_of(store, int(job.ref.id.partition("_")[0]), idx))]

    def ours(self, module: str) -> list[int]:
        """The pids of our own processes of this state directory: ``_supervisor`` or ``_keeper``."""
        found: list[int] = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
                if f"gpujobs_local.{module} ".encode() in words and str(self.home).encode() in words:
                    found.append(int(entry.name))
        return found

    def close(self) -> None:
        """End what is left."""
        for gate in self._gates:
            gate.touch()
        with suppress(Exception):
            jobs = self.client.list_jobs()
            self.client.cancel([s.ref for s in jobs])
            self.client.wait([s.ref for s in jobs], timeout=PATIENCE)
        self.client.close()


class MakeBench(Protocol):
    """Makes one."""

    def __call__(self, options: str = "gpus = 4", *, name: str = "state") -> Bench:
        """With these lines in ``[targets.local]``."""
        ...


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[MakeBench]:
    """Makes state directories with their clients, and ends their jobs afterwards."""
    made: list[Bench] = []

    def make(options: str = "gpus = 4", *, name: str = "state") -> Bench:
        made.append(Bench(tmp_path / name, options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    """One with four pretended GPUs."""
    return make_bench()


@pytest.fixture
def real_gpus(make_bench: MakeBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Bench]:
    """Makes benches that take these for the real GPUs of this machine, as if they had been found just now."""
    from gpujobs_local._gpus import _view  # noqa: PLC0415  # only here

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)  # where the tests run may be told to see none

    def make(*names: str, name: str = "state", options: str = "") -> Bench:
        made = make_bench(f'lock_dir = "{tmp_path / "locks"}"\n{options}', name=name)
        made.home.mkdir(parents=True)
        devices = [{"uuid": f"GPU-{n}-{i}", "index": i, "name": n, "memory": 80 * 2**30} for i, n in enumerate(names)]
        entry = {"view": _view(), "time": time.time(), "devices": devices}
        (made.home / "gpus.json").write_text(json.dumps(entry))
        return made

    return make


def pytest_configure() -> None:
    """Nothing of the machine's own configuration plays a part."""
    for variable in [v for v in os.environ if v.startswith("GPUJOBS_")]:
        if variable != "GPUJOBS_REQUIRE":
            del os.environ[variable]
