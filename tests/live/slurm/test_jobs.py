"""What a job gets and what can be asked about it: GPUs, nodes, files, exec, explain, capacity, lists."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from slurm_tables import until_running

from gpujobs import Client, Gpu, GpuJob, NotFoundError, PreflightError, Reason, RejectedError, Secret, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurm_beds import Cluster

PATIENCE = 120


@pytest.fixture(params=["plain", "newer", "newest"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Every version."""
    found: Cluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def client(cluster: Cluster, connect: Callable[..., Client]) -> Client:
    """A client of it."""
    return connect(cluster)


def test_gpus_are_given_by_type_share_and_profile(client: Client) -> None:
    """Two of a type, a MIG profile under the cluster's own name, shards, and none where none was asked."""
    show = ["sh", "-c", 'echo "${CUDA_VISIBLE_DEVICES-none} $SLURM_JOB_PARTITION"']
    wishes = {"h100:2": 2, "3g.20gb:1": 1, "none": 0}
    jobs = [client.submit(show, gpus=wish if wishes[wish] else None) for wish in wishes]
    shards = client.submit(["sh", "-c", "echo $SLURM_SHARDS_ON_NODE"], gpus=Gpu(4, sharing="shard"))
    client.wait([*jobs, shards], timeout=PATIENCE)

    seen = [next(iter(job.logs())).text.split()[0] for job in jobs]
    assert [0 if s == "none" else len(s.split(",")) for s in seen] == [2, 1, 0]
    assert next(iter(shards.logs())).text == "4"
    assert client.status(jobs[1]).nodes == ("n4",)


def test_a_job_of_many_nodes_and_tasks_knows_its_ranks(client: Client) -> None:
    """Every task is started by srun; ranks, world size and a common meeting point; a log for each node."""
    ranks = "$GPUJOBS_RANK/$GPUJOBS_WORLD_SIZE node $GPUJOBS_NODE_RANK local $GPUJOBS_LOCAL_RANK"
    spec = GpuJob(
        command=["sh", "-c", f'echo "{ranks} $MASTER_PORT"'],
        nodes=2,
        tasks_per_node=2,
        cpus=4,
        memory="200MiB",
    )  # fmt: skip
    job = client.submit(spec)
    status = job.wait(timeout=PATIENCE)

    assert status.succeeded, job.explain().details
    assert (status.replicas.wanted, status.replicas.succeeded, len(status.nodes)) == (2, 2, 2)
    lines = [(line.replica, line.text.rsplit(" ", 1)[0]) for line in job.logs()]
    assert sorted(lines) == [
        (0, "0/4 node 0 local 0"),
        (0, "1/4 node 0 local 1"),
        (1, "2/4 node 1 local 0"),
        (1, "3/4 node 1 local 1"),
    ]
    assert len({line.text.rsplit(" ", 1)[1] for line in job.logs()}) == 1
    raw = b"".join(piece for piece in job.log_bytes(follow=True) if isinstance(piece, bytes))
    assert raw == b"".join(line.raw for line in job.logs())


def test_a_task_that_fails_ends_the_job(client: Client) -> None:
    """With its exit code; the others do not hang."""
    job = client.submit(["sh", "-c", "test $GPUJOBS_RANK = 1 && exit 9; sleep 300"], tasks_per_node=2)

    assert job.wait(timeout=PATIENCE).exit_code == 9


def test_exec_runs_inside_a_running_job(client: Client) -> None:
    """With the job's GPUs; exit code and both outputs come back; not in one that has ended."""
    job = client.submit(["sleep", "300"], gpus=2)
    until_running(job)

    result = job.exec(
        ["sh", "-c", "cat; echo err >&2; echo $SLURM_JOB_ID $CUDA_VISIBLE_DEVICES; exit 3"], stdin=b"in\n"
    )
    assert result.exit_code == 3
    assert result.stdout.decode().startswith(f"in\n{job.ref.id} ")
    assert b"err" in result.stderr
    job.cancel()
    job.wait(timeout=PATIENCE)
    with pytest.raises(NotFoundError):
        job.exec(["true"])


def test_exec_sees_what_the_command_sees(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables, secrets, what ``setup`` exported, and the working directory; each copy its own rank."""
    monkeypatch.setenv("TOKEN", "hidden")
    job = client.submit(
        ["sleep", "300"],
        env={"HOSTILE": "two\nlines 'and' \"$quotes\""},
        secrets=[Secret("TOKEN")],
        setup=["export MADE=by-setup"],
        workdir="/usr",
        nodes=2,
    )
    until_running(job)
    show = ["sh", "-c", 'echo "$HOSTILE|$TOKEN|$MADE|$GPUJOBS_REF|$GPUJOBS_NODE_RANK|$PWD"']

    for rank in range(2):
        said = job.exec(show, replica=rank).stdout.decode()
        assert said == f"two\nlines 'and' \"$quotes\"|hidden|by-setup|{job.ref}|{rank}|/usr\n"
    assert job.exec(["no-such-program"]).exit_code == 127
    job.cancel()
    job.wait(timeout=PATIENCE)


def test_exec_of_an_array_takes_the_variables_of_its_task(client: Client) -> None:
    """Not those of another task on the same node."""
    job = client.submit(["sleep", "300"], array=2)
    deadline = time.monotonic() + PATIENCE
    while job.status().replicas.running < 2:
        assert time.monotonic() < deadline
        time.sleep(0.3)

    assert [job.exec(["printenv", "GPUJOBS_ARRAY_INDEX"], replica=i).stdout for i in range(2)] == [b"0\n", b"1\n"]
    job.cancel()
    job.wait(timeout=PATIENCE)


def test_explain_counts_what_is_missing(client: Client) -> None:
    """Free GPUs by node, jobs ahead, and why."""
    first = [client.submit(["sleep", "300"], gpus="a100:2", time_limit=600)]
    until_running(first[0])
    first += [client.submit(["sleep", "300"], gpus="a100:2", time_limit=600) for _ in range(2)]
    deadline = time.monotonic() + PATIENCE
    while "ahead" not in str(explained := first[2].explain()):
        assert time.monotonic() < deadline, explained
        time.sleep(0.5)

    assert "it needs 2 a100; 0 of 2 are free on n3" in explained.summary
    assert "1 job ahead in queue gpu" in explained.summary
    assert any(line.startswith("n3: 0 of 2 a100 free; 15 of 16 CPUs") for line in explained.details)
    while (cause := first[1].status().reason) is None or cause.code is Reason.QUEUED:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert cause.code in {Reason.INSUFFICIENT_GPU, Reason.PRIORITY}
    client.cancel(first)
    client.wait(first, timeout=PATIENCE)


def test_capacity_shows_every_gpu(client: Client) -> None:
    """By node and type, shards and MIG profiles included."""
    found = {(g.node, g.type, g.sharing): g.total for g in client.capacity().gpus}

    assert found[("n1", "h100", "exclusive")] == 4
    assert found[("n4", "a100_3g.20gb", "mig")] == 2
    assert sum(total for (node, _, sharing), total in found.items() if (node, sharing) == ("n3", "shard")) == 8


def test_an_output_of_ones_own_is_read_too(client: Client, cluster: Cluster) -> None:
    """Patterns are Slurm's; every element's file is found."""
    directory = cluster.shared
    spec = GpuJob(
        command=["sh", "-c", "echo out $GPUJOBS_ARRAY_INDEX; echo err >&2"],
        array=2,
        workdir="/tmp",
        output=f"{directory}/%A-%a.out",
        error=f"{directory}/%A-%a.err",
    )
    job = client.submit(spec)
    assert job.wait(timeout=PATIENCE).succeeded

    assert (directory / f"{job.ref.id}-1.out").read_text() == "out 1\n"
    assert {(line.replica, line.stream, line.text) for line in job.logs()} == {
        (0, "stdout", "out 0"),
        (0, "stderr", "err"),
        (1, "stdout", "out 1"),
        (1, "stderr", "err"),
    }


def test_what_slurm_refuses_names_the_field(client: Client) -> None:
    """With preflight off, Slurm's own answer; with it, before anything is sent, and with what could run."""
    for field, value, blamed in (
        ("queue", "nope", "queue"),
        ("gpus", "v100:1", "gpus"),
        ("exclude", ["n99"], "exclude"),
        ("constraint", "nope", "constraint"),
        ("memory", "99GiB", "memory"),
        ("array", 20000, "array"),
    ):
        spec = GpuJob(command=["true"]).replace(**{field: value})
        with pytest.raises(RejectedError) as caught:
            client.submit(spec, preflight=False)
        assert blamed in caught.value.message, caught.value.message
    with pytest.raises(PreflightError, match="gpus: no node has gpu:v100:1"):
        client.submit(["true"], gpus="v100:1")


def test_a_check_proves_the_target(client: Client) -> None:
    """From the programs to a tiny job whose log arrives."""
    checks = client.check()

    assert [c.title for c in checks if not c.ok] == []
    assert checks[-1].title.startswith("a tiny job runs")


def test_an_array_s_element_can_be_cancelled_alone(client: Client) -> None:
    """The others go on."""
    job = client.submit(
        GpuJob(command=["sh", "-c", "test $GPUJOBS_ARRAY_INDEX = 0 && exit 0; sleep 300"], array=3, grace=1)
    )
    client.cancel(f"{job.ref}_1")

    assert client.wait(f"{job.ref}_1", timeout=PATIENCE).state is State.CANCELLED
    assert not job.status().final
    job.cancel()
    states = [r.state for r in job.replicas()] if job.wait(timeout=PATIENCE) else []
    assert states[1:] == [State.CANCELLED, State.CANCELLED]


def test_the_many_of_a_bulk_are_jobs_of_their_own(client: Client) -> None:
    """Own ref, name, label, key, log, end, cancel and delete, in one array."""
    specs = [GpuJob(command=["sh", "-c", f"echo {i}; exit {i}"], name=f"b{i}", labels={"i": str(i)}) for i in range(4)]
    jobs = client.submit_many(specs)
    statuses = client.wait(jobs, timeout=PATIENCE)

    assert len({job.ref.id.partition("_")[0] for job in jobs}) == 1
    assert [s.exit_code for s in statuses] == [0, 1, 2, 3]
    assert [s.name for s in statuses] == ["b0", "b1", "b2", "b3"]
    assert [[line.text for line in job.logs()] for job in jobs] == [["0"], ["1"], ["2"], ["3"]]
    assert [s.ref for s in client.list_jobs(finished=True, labels={"i": "2"})] == [jobs[2].ref]
    jobs[1].delete()
    assert jobs[1].status().state is State.LOST
    assert jobs[2].status().exit_code == 2
    client.delete([jobs[0], jobs[2], jobs[3]])
    assert client.list_jobs(finished=True) == []
