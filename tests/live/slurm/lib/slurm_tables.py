"""The cases of test_ends: submitted on every cluster when the session begins, because some of them take a minute."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpujobs import Client, Config, GpuJob, Job, State, Status

if TYPE_CHECKING:
    from pathlib import Path

    from slurm_beds import Cluster

PATIENCE = 200


def sh(script: str, **fields: Any) -> GpuJob:
    """A job that stays away from the node that one case takes down."""
    return GpuJob(command=["sh", "-c", script], exclude=["n2"], grace=1, **fields)


CASES: dict[str, GpuJob] = {
    "ok": sh("exit 0"),
    "exit": sh("exit 42"),
    "signal": sh("kill -KILL $$"),
    "script killed": sh("kill -KILL $PPID; sleep 30"),
    "no log directory": sh("exit 0", output="/proc/nowhere/%j.out"),
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

    @classmethod
    def start(cls, cluster: Cluster, state_dir: Path) -> Table:
        """Submit all cases, and end those that somebody has to end."""
        text = (
            f'default = "lab"\n[targets.lab]\nbackend = "slurm"\njob_dir = "{cluster.shared}/table-{time.time_ns()}"\n'
        )
        client = Client(Config.parse(text), state_dir=state_dir)
        jobs = {case: client.submit(spec) for case, spec in CASES.items()}
        for case in ("cancelled running", "cancelled ignoring TERM", "requeued by hand", "node down"):
            until_running(jobs[case])
        client.cancel([jobs[c] for c in CASES if c.startswith("cancelled")])
        cluster.run("scontrol", "requeue", jobs["requeued by hand"].ref.id)
        cluster.run("scontrol", "update", "nodename=n2", "state=down", "reason=test")
        jobs["node down"].wait(timeout=PATIENCE)
        # Without accounting somebody has to look before the queue forgets what the job itself could not write down.
        client.wait([job for case, job in jobs.items() if case not in {"deadline", "time limit"}], timeout=PATIENCE)
        # With ReturnToService=2 it may have come back by itself.
        cluster.run("scontrol", "update", "nodename=n2", "state=resume", check=False)
        return cls(cluster, client, jobs)


def until_running(job: Job) -> None:
    """Wait until it runs."""
    deadline = time.monotonic() + PATIENCE
    while job.status().state is not State.RUNNING:
        assert time.monotonic() < deadline, job.explain()
        time.sleep(0.3)
