"""The client over the in-memory backend: keys, the journal, faults, many at once, and the verbs."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gpujobs import (
    Client,
    Config,
    ConfigError,
    ConflictError,
    GpuJob,
    GpuJobsError,
    GpuService,
    NotFoundError,
    PreflightError,
    Secret,
    SpecError,
    State,
    SubmitManyError,
    UnavailableError,
    UnsupportedError,
    WaitTimeoutError,
)
from gpujobs._poll import LONGEST_S
from gpujobs._retry import ATTEMPTS
from gpujobs.testing import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpujobs import Job
    from gpujobs.backend import Submission, Submitted
    from gpujobs.states import Status

    from .conftest import Flaky

JOB = GpuJob(command=["train"])


def test_a_command_with_fields_is_a_job(client: Client) -> None:
    """``submit(["nvidia-smi"], gpus=1)``."""
    job = client.submit(["nvidia-smi"], gpus=1, name="smi")
    assert job.wait().raise_for_state().name == "smi"
    assert [line.text for line in job.logs()] == ["hello"]


def test_fields_beside_a_workload_are_refused(client: Client) -> None:
    """They would silently mean nothing."""
    with pytest.raises(SpecError, match="'gpus'"):
        client.submit(JOB, gpus=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_a_lost_request_is_sent_again_with_the_same_key(client: Client, backend: Flaky) -> None:
    """The retry is invisible, and there is one job."""
    backend.cut_before = 1
    client.submit(JOB)
    assert backend.submissions == 2
    assert len(client.list_jobs(finished=True)) == 1


def test_a_lost_reply_makes_no_second_job(client: Client, backend: Flaky) -> None:
    """The system took it; asking again finds it."""
    backend.cut_after = 1
    job = client.submit(JOB)
    assert [s.ref for s in client.list_jobs(finished=True)] == [job.ref]


def test_an_open_outcome_names_its_key_and_can_be_resumed(client: Client, backend: Flaky) -> None:
    """After all retries the error says the key; ``resume`` settles it, and then nothing is open."""
    backend.cut_after = ATTEMPTS
    with pytest.raises(UnavailableError) as caught:
        client.submit(JOB)
    key = caught.value.key
    assert key is not None
    assert f"--resume {key}" in str(caught.value)
    assert [e.key for e in client.open_submissions()] == [key]

    (job,) = client.resume()
    assert [s.ref for s in client.list_jobs(finished=True)] == [job.ref]
    assert client.open_submissions() == []
    with pytest.raises(NotFoundError, match="is open here"):
        client.resume(key)


def test_a_key_is_journalled_before_anything_is_sent(client: Client, backend: Flaky, tmp_path: Path) -> None:
    """A client that dies while sending leaves its key behind, without the values of secrets."""

    def dies(_: Sequence[Submission], /) -> list[Submitted]:
        raise KeyboardInterrupt

    backend.submit = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        client.submit(JOB.replace(secrets=[Secret("TOKEN", "s3cr3t")]), idempotency_key="mine")

    (entry,) = (tmp_path / "open").iterdir()
    written = json.loads(entry.read_text())
    assert (written["key"], written["target"], written["spec"]["command"]) == ("mine", "memory", ["train"])
    assert "s3cr3t" not in entry.read_text()
    assert entry.stat().st_mode & 0o077 == 0


def test_nothing_is_sent_where_the_journal_cannot_be_written(backend: Flaky, tmp_path: Path) -> None:
    """The state directory is a file: one clear error, and no job."""
    (tmp_path / "state").write_text("")
    client = Client(Config(), backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path / "state")
    with pytest.raises(GpuJobsError, match="Nothing was submitted") as caught:
        client.submit(JOB)
    assert "GPUJOBS_STATE_DIR" in caught.value.next_step
    assert backend.submissions == 0


def test_a_refusal_leaves_nothing_open(client: Client) -> None:
    """Preflight and conflicts are outcomes."""
    with pytest.raises(PreflightError, match="8 are asked for"):
        client.submit(JOB.replace(gpus=8))
    client.submit(JOB, idempotency_key="k")
    with pytest.raises(ConflictError):
        client.submit(JOB.replace(name="other"), idempotency_key="k")
    assert client.open_submissions() == []


def test_preflight_can_be_left_out(client: Client) -> None:
    """Then the system decides: here it waits for ever."""
    job = client.submit(JOB.replace(gpus=8), preflight=False)
    assert job.status().state is State.PENDING
    assert "GPUs" in str(job.explain())


@pytest.mark.parametrize("key", ["", "x" * 257, "a\nb", "a\0b"])
def test_a_malformed_key_is_refused(client: Client, key: str) -> None:
    """Before anything is sent."""
    with pytest.raises(SpecError, match="not an idempotency key"):
        client.submit(JOB, idempotency_key=key)


def test_a_key_twice_in_one_call_is_refused(client: Client) -> None:
    """It could only mean one of them."""
    with pytest.raises(SpecError, match="twice"):
        client.submit_many([JOB, JOB], idempotency_keys=["k", "k"])
    with pytest.raises(SpecError, match="1 keys for 2"):
        client.submit_many([JOB, JOB], idempotency_keys=["k"])


def test_a_service_is_its_name(client: Client) -> None:
    """It needs one, and takes no other key."""
    with pytest.raises(SpecError, match="needs a name"):
        client.submit(GpuService(command=["serve"]))
    with pytest.raises(SpecError, match="key is its name"):
        client.submit(GpuService(command=["serve"], name="s"), idempotency_key="k")


def test_many_go_in_one_call(client: Client, backend: Flaky) -> None:
    """O(1) calls, whatever the number; a refused one loses none."""
    jobs = client.submit_many([JOB] * 50)
    assert (len({j.ref for j in jobs}), backend.submissions) == (50, 1)
    with pytest.raises(SubmitManyError, match=r"1 of 2 workloads were not taken: \[1\] gpus") as caught:
        client.submit_many([JOB, JOB.replace(gpus=9)])
    assert [r is None for r in caught.value.refs] == [False, True]


def test_waiting_for_many_asks_for_all_at_once(client: Client, backend: Flaky) -> None:
    """1,000 jobs cost one question per round."""
    jobs = client.submit_many([JOB] * 1000)
    backend.questions = 0
    statuses = client.wait(jobs)
    assert all(s.succeeded for s in statuses)
    assert backend.questions <= 8


def test_threads_share_one_poller(client: Client, backend: Flaky) -> None:
    """Twenty waiting threads ask no more than one would."""
    backend.outcome = lambda _: Outcome(seconds=50)
    jobs = client.submit_many([JOB] * 20)
    backend.questions = 0
    ended: list[Status] = []

    def wait(job: Job) -> None:
        ended.append(job.wait())

    threads = [threading.Thread(target=wait, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(s.succeeded for s in ended) == 20
    # One leads at a time; each newcomer may cost one extra round for its first look.
    assert backend.questions <= 20 + 50


def test_polling_backs_off(client: Client, backend: Flaky) -> None:
    """A day of waiting asks some three thousand times, not 86,400."""
    backend.outcome = lambda _: Outcome(seconds=86_400)
    job = client.submit(JOB)
    backend.questions = 0
    assert job.wait().succeeded
    assert backend.questions <= 86_400 / LONGEST_S + 200


def test_a_system_that_is_down_is_unknown_and_comes_back(client: Client, backend: Flaky) -> None:
    """UNKNOWN is never an end; ``unknown_timeout`` bounds it."""
    job = client.submit(JOB)
    backend.down = True
    status = job.status()
    assert (status.state, status.final) == (State.UNKNOWN, False)
    with pytest.raises(WaitTimeoutError, match="could not be asked for 60 s: Nobody answers"):
        job.wait(unknown_timeout=60)
    backend.down = False
    assert job.wait().succeeded


def test_a_wait_can_time_out(client: Client, backend: Flaky) -> None:
    """The error says what it waits for; the job goes on."""
    backend.outcome = lambda _: Outcome(seconds=100)
    job = client.submit(JOB)
    with pytest.raises(WaitTimeoutError, match="is still RUNNING"):
        job.wait(timeout=10)
    assert job.wait().succeeded


def test_following_a_log_waits_for_the_end(client: Client) -> None:
    """The follower learns of the end from the poller."""
    job = client.submit(JOB)
    assert [line.text for line in job.logs(follow=True)] == ["hello"]
    with pytest.raises(SpecError, match="tail=-1"):
        job.logs(tail=-1)


def test_old_records_are_collected(client: Client, backend: Flaky) -> None:
    """Only those that ended long enough ago; a dry run deletes nothing."""
    old = client.submit(JOB)
    old.wait()
    backend.clock.sleep(7200)
    new = client.submit(JOB)
    new.wait()
    assert client.gc(older_than=timedelta(hours=1), dry_run=True) == [old.ref]
    assert client.gc(older_than=timedelta(hours=1)) == [old.ref]
    assert [s.ref for s in client.list_jobs(finished=True)] == [new.ref]


def test_a_failure_is_explained_with_its_last_lines(client: Client, backend: Flaky) -> None:
    """The status's sentence, and what the job said last."""
    backend.outcome = lambda _: Outcome(exit_code=3, output=b"one\nCUDA error\n")
    job = client.submit(JOB)
    job.wait()
    found = job.explain()
    assert "exit code 3" in str(found)
    assert "log: CUDA error" in found.details


def test_what_a_backend_cannot_do_is_said(client: Client) -> None:
    """No stub, no NotImplementedError."""
    job = client.submit(JOB)
    with pytest.raises(UnsupportedError, match="memory backend cannot list events"):
        job.events()
    with pytest.raises(UnsupportedError, match="is a job, not a service"):
        client.scale(job, 2)
    with pytest.raises(SpecError, match="command to run is empty"):
        job.exec([])


def test_refs_of_other_targets_are_refused(client: Client) -> None:
    """An unknown target, and a target of another backend."""
    with pytest.raises(ConfigError, match="no target 'lab'"):
        client.status("slurm://lab/1")
    with pytest.raises(ConfigError, match="is a slurm ref"):
        client.status("slurm://memory/1")
    with pytest.raises(SpecError, match="is not a ref"):
        client.status("1234")


def test_target_defaults_fill_what_a_workload_leaves_open(backend: Flaky, tmp_path: Path) -> None:
    """Tables are merged, what the workload says wins, and the hash is of the result."""
    config = Config.parse(
        '[targets.memory]\nbackend = "memory"\n[targets.memory.defaults]\nname = "fallback"\nenv = {A = "1", B = "1"}'
    )
    client = Client(config, backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path)
    job = client.submit(JOB.replace(env={"B": "2"}), idempotency_key="k")

    assert job.status().name == "fallback"
    assert json.loads(client.render(JOB.replace(env={"B": "2"})))["env"] == {"A": "1", "B": "2"}
    assert client.submit(JOB.replace(env={"A": "1", "B": "2"}, name="fallback"), idempotency_key="k") == job


def test_every_refusal_of_a_bulk_call_is_told(client: Client) -> None:
    """The first error is raised and names the others too."""
    with pytest.raises(NotFoundError) as caught:
        client.cancel([f"memory://memory/{n}" for n in (7, 8, 9)])

    assert all(f"memory://memory/{n}" in str(caught.value) for n in (7, 8, 9))
