"""After kills, reboots and removals every job ends with a truthful state, and nothing waits for ever."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Reason, State

if TYPE_CHECKING:
    from pathlib import Path

    from gpujobs import Status
    from tests.contract.local.conftest import Bench


def told(status: Status) -> tuple[State, Reason | None]:
    """State and reason."""
    return status.state, status.reason.code if status.reason else None


def reboot(bench: Bench) -> None:
    """As far as the records know: every supervisor is gone, and the boot is another."""
    for pid in bench.ours("_supervisor") + bench.ours("_keeper"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for state, job_id, idx in bench.rows("SELECT state, job_id, idx FROM tasks"):
        if state == "RUNNING":
            for pid in bench.processes(bench.client.attach(f"local://local/{job_id}"), idx):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    bench.rows("UPDATE tasks SET boot = 'an earlier one' WHERE state = 'RUNNING'")


def test_a_reboot_fails_what_ran_and_starts_what_waited(bench: Bench) -> None:
    """FAILED with reason node-fail; the GPU is free; what waited runs."""
    ran = bench.sleeper(gpus=4)
    waits = bench.submit("true", gpus=1)
    after = bench.submit("true", after=[f"any:{ran.ref}"])
    bench.running(ran)
    reboot(bench)

    assert told(ran.wait(timeout=60)) == (State.FAILED, Reason.NODE_FAIL)
    assert "restarted" in str(ran.status().reason)
    assert waits.wait(timeout=60).succeeded
    assert after.wait(timeout=60).succeeded


def test_a_reboot_requeues_what_may_be(bench: Bench) -> None:
    """With ``requeue=True`` it is PENDING again and runs as the next attempt; the log of the first is kept."""
    job = bench.submit("echo try $GPUJOBS_ATTEMPT; test $GPUJOBS_ATTEMPT = 1 || exec sleep 600", requeue=True)
    bench.says(job, "try 0")
    reboot(bench)

    status = job.wait(timeout=60)
    assert (status.state, status.attempt) == (State.SUCCEEDED, 1)
    assert bench.text(job) == ["try 0", "try 1"]


def test_a_cancelled_job_stays_cancelled_over_a_reboot(bench: Bench) -> None:
    """The note was made before the machine went down."""
    job = bench.submit("trap '' TERM; echo up; while :; do sleep 0.1; done", grace=60, requeue=True)
    bench.says(job, "up")
    job.cancel()
    reboot(bench)

    assert told(job.wait(timeout=60)) == (State.CANCELLED, Reason.CANCELLED)


def test_a_killed_supervisor_leaves_a_lost_job_where_its_end_is_not_known(bench: Bench) -> None:
    """The command ended while nobody looked: LOST, never SUCCEEDED."""
    job, gate = bench.gated("true")
    pid = bench.supervisor(job)
    bench.until(lambda: bench.processes(job))
    os.kill(pid, signal.SIGSTOP)
    gate.touch()
    bench.until(lambda: not [p for p in bench.processes(job) if not _zombie(p)])
    os.kill(pid, signal.SIGKILL)

    assert told(job.wait(timeout=60)) == (State.LOST, Reason.LOST)


def _zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # one line of it
            return ") Z" in file.read()
    except OSError:
        return True


def test_a_killed_supervisors_processes_are_ended(bench: Bench) -> None:
    """TERM, then KILL after the grace; meanwhile the job is not over and says why."""
    job = bench.submit("trap '' TERM; echo up; while :; do sleep 0.1; done", grace=5)
    bench.says(job, "up")
    os.kill(bench.supervisor(job), signal.SIGKILL)
    bench.until(lambda: told(job.status()) == (State.RUNNING, Reason.STOPPING))

    assert told(job.wait(timeout=60)) == (State.FAILED, Reason.NODE_FAIL)
    assert not bench.processes(job)


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12])
def test_a_supervisor_killed_at_any_stage_leaves_no_open_job(bench: Bench, delay: float) -> None:
    """From its start on: it ran once at most, and its end is told or it runs after all."""
    ran = bench.directory / "ran"
    job = bench.submit('echo x >> "$1"', str(ran), gpus=4)
    bench.rows("UPDATE tasks SET cancel = cancel")  # the record file is there and unlocked
    time.sleep(delay)
    for pid in bench.ours("_supervisor"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    status = job.wait(timeout=60)
    times = ran.read_text().count("x") if ran.exists() else 0
    assert times <= 1
    assert (status.state is State.SUCCEEDED and times == 1) or status.state in {State.LOST, State.FAILED}
    bench.until(lambda: bench.client.capacity().free == 4)


def test_supervisors_that_never_get_to_the_command_fail_the_job(bench: Bench) -> None:
    """After three of them, so that nothing loops for ever; the reason says where to look."""
    holder = bench.sleeper(gpus=4)
    job = bench.submit("true", gpus=1)
    bench.rows("UPDATE jobs SET plan = '{' || substr(plan, 2, 3) WHERE id = ?", int(job.ref.id))
    plan = bench.rows("SELECT plan FROM jobs WHERE id = ?", int(holder.ref.id))[0][0]
    bench.rows("UPDATE jobs SET plan = ?, context = json_remove(context, '$.cwd') WHERE id = ?", plan, int(job.ref.id))
    holder.cancel()

    assert told(job.wait(timeout=60)) == (State.FAILED, Reason.LAUNCH_FAILED)
    assert "supervisor.log" in job.status().reason.next  # type: ignore[union-attr]


def test_a_killed_keeper_is_replaced_by_whoever_looks(bench: Bench) -> None:
    """What waits for a foreign holder is started all the same."""
    holder = bench.sleeper(gpus=4)
    job = bench.submit("true", gpus=1, start_timeout=8)
    keepers: list[int] = []

    def one_keeper() -> bool:
        keepers[:] = bench.ours("_keeper")
        return len(keepers) == 1

    bench.until(one_keeper)
    os.kill(keepers[0], signal.SIGKILL)

    assert told(job.wait(timeout=60)) == (State.FAILED, Reason.START_TIMEOUT)
    assert holder.status().state is State.RUNNING


def test_one_keeper_and_only_while_something_waits(bench: Bench) -> None:
    """It ends with the last waiting job."""
    holder = bench.sleeper(gpus=4)
    jobs = [bench.submit("true", gpus=1) for _ in range(5)]
    bench.until(lambda: len(bench.ours("_keeper")) == 1)
    holder.cancel()
    bench.client.wait(jobs, timeout=60)

    bench.until(lambda: not bench.ours("_keeper") + bench.ours("_supervisor"))


def _removed(directory: Path) -> bool:
    """One try to remove it: what still runs may write there meanwhile, and then it takes another."""
    with suppress(OSError):
        shutil.rmtree(directory)
    return not directory.exists()


def test_a_removed_state_directory_stays_removed(bench: Bench) -> None:
    """What ran goes on to its own end and nothing makes the directory anew; its refs are unknown."""
    job, gate = bench.gated("true", gpus=1)
    waits = bench.submit("true", gpus=4)
    bench.running(job)
    pids = bench.ours("_supervisor") + bench.ours("_keeper")
    bench.until(lambda: _removed(bench.home))
    gate.touch()
    bench.until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))  # noqa: PTH110

    assert not bench.home.exists()
    assert [s.state for s in bench.client.status([job, waits])] == [State.LOST, State.LOST]
    assert bench.client.list_jobs(finished=True) == []
    assert bench.run("true")[1].succeeded


def test_another_client_finds_everything(bench: Bench) -> None:
    """Nothing is kept in the process that submitted."""
    job, _ = bench.run("echo hi; exit 3")
    with Client(bench.config, state_dir=bench.directory) as other:
        assert other.status(job.ref).exit_code == 3
        assert [line.text for line in other.logs(job.ref)] == ["hi"]


def test_ids_are_never_given_twice(bench: Bench) -> None:
    """Also after the newest was deleted: an old ref never means another job."""
    first, _ = bench.run("true")
    first.delete()
    second, _ = bench.run("true")

    assert int(second.ref.id) == int(first.ref.id) + 1
    assert first.status().state is State.LOST
