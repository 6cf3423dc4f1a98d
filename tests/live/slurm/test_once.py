"""Exactly once, on the real case: the scheduler is frozen, or the client dies, while a submission is under way."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gpujobs import (
    Client,
    Config,
    ConflictError,
    GpuJob,
    GpuJobsError,
    Job,
    Ref,
    State,
    SubmitManyError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from slurm_beds import Cluster

THAW_S = 7.0
"""Longer than the cluster's MessageTimeout: sbatch has given up by then."""


@pytest.fixture(scope="module")
def brittle(installed: None) -> Iterator[Cluster]:
    """A cluster that may be frozen; its commands give up after 5 s."""
    from slurm_beds import Cluster  # noqa: PLC0415

    cluster = Cluster("gj-once", 17400, ("--conf", "MessageTimeout=5", "--minjobage", "5")).up()
    yield cluster
    cluster.down()


@pytest.fixture
def effects(brittle: Cluster, tmp_path: Path) -> Path:
    """A file into which every run of a command writes a line."""
    path = brittle.shared / f"effects-{time.time_ns()}"
    path.touch()
    return path


def leaves_a_trace(effects: Path, word: str = "ran", **fields: object) -> GpuJob:
    """A job whose every run can be counted."""
    return GpuJob(command=["sh", "-c", f"echo {word} >> {effects}; sleep 1"], **fields)  # type: ignore[arg-type]


def thawing(cluster: Cluster) -> threading.Timer:
    """Freeze the scheduler now and let it go on later."""
    cluster.fault("freeze", "slurmctld")
    timer = threading.Timer(THAW_S, cluster.fault, ("thaw", "slurmctld"))
    timer.start()
    return timer


def submit_until_known(client: Client, spec: GpuJob, key: str) -> Ref:
    """What a user does who is told that it is not known."""
    for _ in range(5):
        try:
            return client.submit(spec, idempotency_key=key).ref
        except UnavailableError as e:
            assert e.key == key  # noqa: PT017  # the error is no failure here
    raise AssertionError("it never was known")


def test_a_frozen_scheduler_runs_it_once(brittle: Cluster, connect: Callable[..., Client], effects: Path) -> None:
    """Sbatch times out, the job appears after the thaw: the same key runs once, and its ref tells its end."""
    client = connect(brittle)
    client.submit(["true"]).wait(timeout=120)

    timer = thawing(brittle)
    ref = submit_until_known(client, leaves_a_trace(effects), "frozen")
    timer.join()
    status = client.wait(ref, timeout=120)
    brittle.until_ended()

    assert status.state is State.SUCCEEDED, status
    assert effects.read_text().split() == ["ran"]
    again = client.submit(leaves_a_trace(effects), idempotency_key="frozen")
    assert again.status().to_dict() | {"ref": ""} == status.to_dict() | {"ref": ""}


def killed_while_sending(cluster: Cluster, directory: Path, effects: Path, statement: str) -> threading.Timer:
    """Another client runs a statement while the scheduler is frozen, and is killed; what thaws the scheduler later."""
    program = f"""
        from pathlib import Path
        from gpujobs import Client, Config, GpuJob
        config = Config.parse('default="lab"\\n[targets.lab]\\nbackend="slurm"\\njob_dir="{directory}"')
        client = Client(config, state_dir=Path("{effects}.state"))
        client.submit(["true"])
        print("ready", flush=True)
        input()
        {statement}
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    timer, before = thawing(cluster), claimed(directory)
    process.stdin.write("\n")
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while claimed(directory) == before or "sbatch" not in children(process.pid):
        assert time.monotonic() < deadline, "it never sent anything"
        time.sleep(0.05)
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    return timer


def claimed(directory: Path) -> int:
    """How many records a job directory has: each is claimed before anything is sent."""
    return len([*directory.rglob("script")])


def children(pid: int) -> list[str]:
    """The names of a process's children."""
    shown = ["ps", "-o", "comm=", "--ppid", str(pid)]
    return subprocess.run(shown, stdout=subprocess.PIPE, text=True, check=False).stdout.split()


def test_a_killed_client_is_followed_by_another(
    brittle: Cluster, connect: Callable[..., Client], effects: Path
) -> None:
    """Kill -9 in mid-submission; another client with the same key finds the job, or sends one that stands down."""
    directory = brittle.shared / f"killed-{time.time_ns()}"
    client = connect(brittle, job_dir=directory)
    client.submit(["true"]).wait(timeout=120)
    job = f'GpuJob(command=["sh", "-c", "echo ran >> {effects}; sleep 1"])'
    timer = killed_while_sending(brittle, directory, effects, f'client.submit({job}, idempotency_key="killed")')

    ref = submit_until_known(client, leaves_a_trace(effects), "killed")
    timer.join()
    assert client.wait(ref, timeout=120).succeeded
    brittle.until_ended()
    assert effects.read_text().split() == ["ran"]


def test_an_array_and_a_bulk_run_each_element_once(
    brittle: Cluster, connect: Callable[..., Client], effects: Path
) -> None:
    """The same for arrays, and for many keys in one array."""
    client = connect(brittle)
    client.submit(["true"]).wait(timeout=120)
    array = GpuJob(command=["sh", "-c", f"echo a$GPUJOBS_ARRAY_INDEX >> {effects}"], array=3)
    many = [leaves_a_trace(effects, f"b{i}") for i in range(3)]
    keys = [f"bulk-{i}" for i in range(3)]

    timer = thawing(brittle)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(submit_until_known, client, array, "array")
        second = pool.submit(submit_many_until_known, client, many, keys)
        refs = [first.result(), *second.result()]
    timer.join()
    statuses = client.wait(refs, timeout=120)
    brittle.until_ended()

    assert [s.state for s in statuses] == [State.SUCCEEDED] * 4
    assert sorted(effects.read_text().split()) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_a_client_killed_in_a_bulk_is_resumed(brittle: Cluster, connect: Callable[..., Client], effects: Path) -> None:
    """Kill -9 while many with made keys are sent: the journal knows all of them, and each runs once."""
    directory = brittle.shared / f"killed-{time.time_ns()}"
    connect(brittle, job_dir=directory).submit(["true"]).wait(timeout=120)
    jobs = f'[GpuJob(command=["sh", "-c", f"echo b{{i}} >> {effects}"]) for i in range(3)]'
    timer = killed_while_sending(brittle, directory, effects, f"client.submit_many({jobs})")

    text = f'default="lab"\n[targets.lab]\nbackend="slurm"\njob_dir="{directory}"'
    with Client(Config.parse(text), state_dir=effects.with_name(effects.name + ".state")) as client:
        assert len(client.open_submissions()) == 3
        refs = resume_until_known(client)
        timer.join()
        statuses = client.wait(refs, timeout=120)
        brittle.until_ended()
        assert [s.state for s in statuses] == [State.SUCCEEDED] * 3
        assert client.open_submissions() == []
    assert sorted(effects.read_text().split()) == ["b0", "b1", "b2"]


def resume_until_known(client: Client) -> list[Ref]:
    """The refs of all that were open, whatever it takes."""
    for _ in range(5):
        try:
            return [job.ref for job in client.resume()]
        except SubmitManyError as e:
            assert all(isinstance(x, UnavailableError) for x in e.errors), e.errors  # noqa: PT017
    raise AssertionError("it never was known")


def submit_many_until_known(client: Client, specs: list[GpuJob], keys: list[str]) -> list[Ref]:
    """The refs of all, whatever it takes."""
    for _ in range(5):
        try:
            return [job.ref for job in client.submit_many(specs, idempotency_keys=keys)]
        except SubmitManyError as e:
            assert all(isinstance(x, (UnavailableError, type(None))) for x in e.errors), e.errors  # noqa: PT017
    raise AssertionError("it never was known")


def test_many_clients_with_one_key_get_one_job(brittle: Cluster, connect: Callable[..., Client], effects: Path) -> None:
    """Eight at once, each a client of its own."""
    directory = brittle.shared / f"shared-{time.time_ns()}"
    clients = [connect(brittle, job_dir=directory) for _ in range(8)]
    clients[0].submit(["true"])
    spec = leaves_a_trace(effects)

    def submit(client: Client) -> Ref:
        return client.submit(spec, idempotency_key="together").ref

    with ThreadPoolExecutor(8) as pool:
        refs = list(pool.map(submit, clients))
    assert len(set(refs)) == 1
    assert clients[0].wait(refs[0], timeout=120).succeeded
    brittle.until_ended()
    assert effects.read_text().split() == ["ran"]


def test_a_key_is_remembered_when_slurm_has_forgotten_the_job(
    brittle: Cluster, connect: Callable[..., Client], effects: Path
) -> None:
    """After MinJobAge the same key gives the same ref, another workload is a conflict, and deleting frees it."""
    client = connect(brittle)
    job = client.submit(leaves_a_trace(effects), idempotency_key="old")
    job.wait(timeout=120)
    brittle.until_forgotten(job.ref.id)

    assert client.submit(leaves_a_trace(effects), idempotency_key="old").ref == job.ref
    with pytest.raises(ConflictError, match=str(job.ref)):
        client.submit(["true"], idempotency_key="old")
    assert effects.read_text().split() == ["ran"]
    job.delete()
    assert client.submit(leaves_a_trace(effects), idempotency_key="old").wait(timeout=120).succeeded


def test_what_is_cancelled_never_starts_late(brittle: Cluster, connect: Callable[..., Client], effects: Path) -> None:
    """A duplicate of a cancelled job that shows up later ends without running the command."""
    directory = brittle.shared / f"late-{time.time_ns()}"
    client = connect(brittle, job_dir=directory)
    job = client.submit(leaves_a_trace(effects, extra={"slurm": ["--hold"]}), idempotency_key="late")
    job.cancel()
    assert job.wait(timeout=120).state is State.CANCELLED
    record = next(iter(directory.rglob("sent." + job.ref.id))).parent

    late = brittle.run("sbatch", "--parsable", "--hold", str(record / "script")).strip()
    brittle.run("scontrol", "release", late)
    brittle.until_ended()
    assert not effects.read_text()
    assert job.status().state is State.CANCELLED


def test_a_refused_submission_frees_its_key(brittle: Cluster, connect: Callable[..., Client]) -> None:
    """What Slurm refused can be mended and sent again under the same key."""
    client = connect(brittle)
    with pytest.raises(GpuJobsError, match="constraint"):
        client.submit(["true"], constraint="no-such-feature", idempotency_key="mend")

    mended = client.submit(["true"], idempotency_key="mend")
    assert isinstance(mended, Job)
    assert mended.wait(timeout=120).succeeded
