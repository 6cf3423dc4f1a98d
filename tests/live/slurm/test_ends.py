"""The truth about the end, case by case, on every version, with accounting and without.

All cases of a cluster are submitted at once and looked at one by one; those that take a minute come last.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Client, Config, GpuJob, Job, Reason, State, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from beds import Cluster

PATIENCE = 120


def sh(script: str, **fields: Any) -> GpuJob:
    """A job that stays away from the node that one case takes down."""
    return GpuJob(command=["sh", "-c", script], exclude=["n2"], grace=1, **fields)


CASES: dict[str, GpuJob] = {
    "ok": sh("exit 0"),
    "exit": sh("exit 42"),
    "signal": sh("kill -KILL $$"),
    "script killed": sh("kill -KILL $PPID; sleep 30"),
    "no log directory": sh("exit 0", output="/nonexistent/%j.out"),
    "no working directory": sh("exit 0", workdir="/nonexistent", output="/nonexistent/%j.out"),
    "not found": sh("no-such-program"),
    "cancelled running": sh("exec sleep 300"),
    "cancelled ignoring TERM": sh("trap '' TERM; while :; do sleep 1; done"),
    "cancelled pending": sh("exit 0", extra={"slurm": ["--hold"]}),
    "mixed array": sh("exit $((GPUJOBS_ARRAY_INDEX % 2))", array=3),
    "requeued by hand": sh("test $GPUJOBS_ATTEMPT = 1 || exec sleep 300", requeue=True),
    "node down": GpuJob(command=["sleep", "300"], requeue=False, extra={"slurm": ["--nodelist=n2"]}),
    "deadline": sh("exec sleep 300", deadline=70),
    "time limit": sh("exec sleep 300", time_limit=60),
}


@dataclass
class Table:
    """The jobs of one cluster."""

    cluster: Cluster
    client: Client
    jobs: dict[str, Job]

    def end(self, case: str) -> Status:
        """How a case ended."""
        return self.jobs[case].wait(timeout=PATIENCE)


@pytest.fixture(scope="module", params=["plain", "accounted", "newer", "newest"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """All cases, submitted; those that somebody has to end are ended."""
    cluster: Cluster = request.getfixturevalue(request.param)
    patch = pytest.MonkeyPatch()
    for name, value in cluster.environ.items():
        patch.setenv(name, value)
    client = open_client(cluster, tmp_path_factory)
    jobs = {case: client.submit(spec) for case, spec in CASES.items()}
    for case in ("cancelled running", "cancelled ignoring TERM", "requeued by hand", "node down"):
        until_running(jobs[case])
    client.cancel([jobs[c] for c in CASES if c.startswith("cancelled")])
    cluster.run("scontrol", "requeue", jobs["requeued by hand"].ref.id)
    cluster.run("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    yield Table(cluster, client, jobs)
    cluster.run("scontrol", "update", "nodename=n2", "state=resume")
    client.cancel(list(jobs.values()))
    client.close()
    patch.undo()


def open_client(cluster: Cluster, factory: pytest.TempPathFactory) -> Client:
    """A client with a job directory of its own."""
    text = f'default = "lab"\n[targets.lab]\nbackend = "slurm"\njob_dir = "{cluster.shared}/table-{time.time_ns()}"\n'
    return Client(Config.parse(text), state_dir=factory.mktemp("state"))


def until_running(job: Job) -> None:
    """Wait until it runs."""
    deadline = time.monotonic() + PATIENCE
    while job.status().state is not State.RUNNING:
        assert time.monotonic() < deadline, job.explain()
        time.sleep(0.3)


def code(status: Status) -> Reason | None:
    """The reason's code."""
    return status.reason.code if status.reason else None


@pytest.mark.parametrize(
    ("case", "state", "reason", "exit_code", "signal"),
    [
        ("ok", State.SUCCEEDED, None, 0, None),
        ("exit", State.FAILED, Reason.EXIT_CODE, 42, None),
        ("signal", State.FAILED, Reason.SIGNAL, None, 9),
        ("script killed", State.FAILED, Reason.SIGNAL, None, 9),
        ("no log directory", State.FAILED, Reason.LAUNCH_FAILED, None, None),
        ("not found", State.FAILED, Reason.EXIT_CODE, 127, None),
        ("cancelled running", State.CANCELLED, Reason.CANCELLED, None, None),
        ("cancelled ignoring TERM", State.CANCELLED, Reason.CANCELLED, None, None),
        ("cancelled pending", State.CANCELLED, Reason.CANCELLED, None, None),
        ("mixed array", State.FAILED, Reason.EXIT_CODE, 1, None),
        ("requeued by hand", State.SUCCEEDED, None, 0, None),
        ("node down", State.FAILED, Reason.NODE_FAIL, None, None),
        ("deadline", State.FAILED, Reason.DEADLINE, None, None),
        ("time limit", State.FAILED, Reason.TIMEOUT, None, None),
    ],
)
def test_an_end_is_told(
    table: Table, case: str, state: State, reason: Reason | None, exit_code: int | None, signal: int | None
) -> None:
    """State, reason, exit code and signal, and the same again when asked later."""
    status = table.end(case)

    assert (status.state, code(status), status.exit_code, status.signal) == (state, reason, exit_code, signal), status
    assert table.jobs[case].status() == status


def test_every_element_has_its_own_end(table: Table) -> None:
    """The array sums up what its elements say."""
    table.end("mixed array")

    assert [r.exit_code for r in table.jobs["mixed array"].replicas()] == [0, 1, 0]
    assert table.client.status(f"{table.jobs['mixed array'].ref}_1").exit_code == 1


def test_a_requeue_is_an_attempt(table: Table) -> None:
    """The job that was requeued ended well in its second attempt."""
    assert table.end("requeued by hand").attempt == 1


def test_an_end_stays_when_slurm_has_forgotten_it(table: Table) -> None:
    """A new client, asking long after, is told the same, also of jobs whose end nobody saw before."""
    unseen = table.client.submit_many([sh("exit 5"), sh("exit 0"), sh("kill -USR2 $$")])
    ids = {job.ref.id.partition("_")[0] for job in unseen}
    deadline = time.monotonic() + (60 if "--minjobage" in table.cluster.options else 8)
    while time.monotonic() < deadline and ids & set(queue(table.cluster)):
        time.sleep(1)

    assert [s.exit_code for s in table.client.status(unseen)] == [5, 0, None]
    assert table.client.status(unseen)[2].signal == 12
    assert table.end("exit").exit_code == 42


def queue(cluster: Cluster) -> list[str]:
    """The ids that Slurm still knows."""
    return cluster.run("squeue", "-h", "-t", "all", "-o", "%F").split()
