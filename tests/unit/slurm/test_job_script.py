"""The job's own shell, run for real in a plain directory: claims, outcome, signals, retries, what a job sees."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import GpuJob, Secret
from gpujobs_slurm._orders import bulk_files, single_files
from gpujobs_slurm.remote import records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpujobs.backend import Submission
    from gpujobs_slurm._script import Order


class Job:
    """A claimed record, and ways to run its script as Slurm would."""

    def __init__(self, root: Path, record: str) -> None:
        self.root = root
        self.path = root / record
        self.home = root.parent

    def start(self, job_id: str = "7", *, attempt: int = 0, element: int | None = None) -> subprocess.Popen[bytes]:
        """Start it as that job."""
        env = {"PATH": f"{self.home}/bin:/usr/bin:/bin", "SLURM_JOB_ID": job_id, "SLURMD_NODENAME": "n1"}
        env |= {"SLURM_JOB_NODELIST": "n1"}
        env |= {"SLURM_RESTART_COUNT": str(attempt)} if attempt else {}
        env |= {"SLURM_ARRAY_JOB_ID": job_id, "SLURM_ARRAY_TASK_ID": str(element)} if element is not None else {}
        with (self.path / "slurm.out").open("ab") as out:
            return subprocess.Popen(["bash", str(self.path / "script")], env=env, stdout=out, stderr=out)

    def run(self, job_id: str = "7", *, attempt: int = 0, element: int | None = None) -> int:
        """Run it to its end; its exit code."""
        return self.start(job_id, attempt=attempt, element=element).wait(120)

    def log(self, suffix: str = ".0") -> str:
        """What the command wrote."""
        return (self.path / f"log{suffix}").read_text()

    def note(self, name: str) -> dict[str, Any]:
        """A file that the job left."""
        found: dict[str, Any] = json.loads((self.path / name).read_text())
        return found


@pytest.fixture
def claim(
    tmp_path: Path, order: Callable[..., Order], submit_item: Callable[..., Submission]
) -> Callable[[GpuJob], Job]:
    """Claim a key for a job."""

    def make(spec: GpuJob) -> Job:
        root = tmp_path / "jobs"
        made = order(spec, root=str(root), directory="")
        assert records.claim(str(root), made.record, single_files(made, submit_item(spec), time.time()), "nonce")
        return Job(root, made.record)

    return make


def test_a_job_leaves_its_outcome(claim: Callable[[GpuJob], Job]) -> None:
    """Exit code, log, owner and id, by the job itself."""
    job = claim(GpuJob(command=["sh", "-c", "echo hello; exit 42"]))

    assert job.run() == 42
    assert job.log() == "hello\n"
    assert {k: job.note("outcome.0")[k] for k in ("attempt", "exit", "received", "oom")} == {
        "attempt": 0,
        "exit": 42,
        "received": "",
        "oom": 0,
    }
    assert job.note("started.0")["node"] == "n1"
    assert str((job.path / "owner").readlink()) == "7"
    assert records.record_of(str(job.root), "7") == job.path.name


def test_a_job_that_was_sent_twice_runs_once(claim: Callable[[GpuJob], Job], tmp_path: Path) -> None:
    """The second stands down with 75, also when it is requeued."""
    job = claim(GpuJob(command=["sh", "-c", f"echo ran >> {tmp_path}/effects"]))

    assert [job.run("7"), job.run("8"), job.run("8", attempt=1)] == [0, 75, 75]
    assert (tmp_path / "effects").read_text() == "ran\n"


def test_one_attempt_runs_once(claim: Callable[[GpuJob], Job], tmp_path: Path) -> None:
    """A restart after a crash of the scheduler is another attempt; the same one again is not."""
    job = claim(GpuJob(command=["sh", "-c", f"echo $GPUJOBS_ATTEMPT >> {tmp_path}/effects"]))

    assert [job.run(), job.run(), job.run(attempt=1)] == [0, 75, 0]
    assert (tmp_path / "effects").read_text() == "0\n1\n"


def test_a_cancelled_job_does_not_start(claim: Callable[[GpuJob], Job]) -> None:
    """The mark stands in the record before Slurm is told."""
    job = claim(GpuJob(command=["true"]))
    (job.path / "cancelled").touch()

    assert job.run() == 75
    assert not (job.path / "started.0").exists()


def test_a_job_without_its_directory_says_so(claim: Callable[[GpuJob], Job], tmp_path: Path) -> None:
    """Exit 74, and what to do about it."""
    job = claim(GpuJob(command=["true"]))
    script = (job.path / "script").read_text().replace(str(job.path), str(tmp_path / "elsewhere"))
    done = subprocess.run(
        ["bash", "-c", script], env={"SLURM_JOB_ID": "7", "PATH": "/usr/bin:/bin"}, stderr=-1, check=False
    )

    assert done.returncode == 74
    assert b"job_dir must be on a shared file system" in done.stderr


def test_term_is_noted_and_grace_ends_in_kill(claim: Callable[[GpuJob], Job]) -> None:
    """A command that ignores TERM is killed after its grace, and the record says what happened."""
    job = claim(GpuJob(command=["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"], grace=1))
    process = job.start()
    while not (job.path / "log.0").exists() or "up" not in job.log():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)

    assert process.wait(120) == 137
    assert (job.note("outcome.0")["exit"], job.note("outcome.0")["received"]) == (137, "TERM")


def test_a_failed_attempt_asks_for_another(claim: Callable[[GpuJob], Job]) -> None:
    """It requeues itself as often as it may, and counts only failures."""
    job = claim(GpuJob(command=["false"], retries=2))
    (job.home / "bin").mkdir()
    requeue = job.home / "bin" / "scontrol"
    requeue.write_text(f'#!/bin/sh\necho "$@" >> {job.home}/asked\nexit 1\n')
    requeue.chmod(0o755)

    assert [job.run(attempt=n) for n in range(4)] == [1, 1, 1, 1]
    assert (job.home / "asked").read_text() == "requeue 7\n" * 2


def test_a_job_sees_what_its_model_says(claim: Callable[[GpuJob], Job]) -> None:
    """Variables, secrets, files, setup, script; nothing of ours but GPUJOBS_."""
    spec = GpuJob(
        script='#!/bin/bash\nset -- "$@"\necho $A $TOKEN $FROM_SETUP "$1" $(cat $GPUJOBS_FILES/d/f) $GPUJOBS_REF\n',
        args=["x y"],
        env={"A": "a"},
        secrets=[Secret("TOKEN", "t")],
        files={"d/f": "content"},
        setup=["FROM_SETUP=s; export FROM_SETUP"],
    )
    job = claim(spec)

    assert job.run() == 0
    assert job.log() == "a t s x y content slurm://lab/7\n"
    assert (job.path / "secrets").stat().st_mode & 0o777 == 0o600


def test_an_output_of_ones_own_is_kept(claim: Callable[[GpuJob], Job]) -> None:
    """The record points to wherever Slurm writes."""
    job = claim(GpuJob(command=["echo", "hi"], output="x.out"))

    assert job.run() == 0
    assert (job.path / "out").readlink().read_text() == "hi\n"


def test_every_job_of_a_bulk_runs_its_own_row(
    tmp_path: Path, order: Callable[..., Order], submit_item: Callable[..., Submission]
) -> None:
    """Commands, variables, files and keys differ; each has its own owner, log and outcome."""
    specs = [
        GpuJob(
            command=["sh", "-c", f'echo {i} "$V" $(cat $GPUJOBS_FILES/f) $GPUJOBS_KEY'],
            env={"V": f"'v{i}'"},
            files={"f": f"f{i}"},
        )
        for i in range(3)
    ]
    items = [submit_item(spec, f"k{i}") for i, spec in enumerate(specs)]
    root = tmp_path / "jobs"
    made = order(specs[0], root=str(root), record="bulk-aa", bulk=True, indices=(0, 1, 2), directory="")
    assert records.claim(str(root), made.record, bulk_files(made, items, 0.0), "nonce")
    job = Job(root, made.record)

    assert [job.run(element=i) for i in range(3)] == [0, 0, 0]
    assert [job.log(f".{i}.0") for i in range(3)] == [f"{i} 'v{i}' f{i} k{i}\n" for i in range(3)]
    assert job.run("9", element=1) == 75
    assert str((job.path / "owner.2").readlink()) == "7_2"
