"""What a job asks for is what its pods get: nodes, tasks, arrays, limits, GPUs, dependencies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Client, Gpu, GpuJob, PreflightError, Reason, SpecError, State, UnsupportedError, Volume

if TYPE_CHECKING:
    from tests.live.kubernetes.conftest import Bed

pytestmark = pytest.mark.kubernetes
PYTHON = "gpujobs-testbed/python:1"
MEET = """\
import os, socket, time
rank, world = int(os.environ["GPUJOBS_RANK"]), int(os.environ["GPUJOBS_WORLD_SIZE"])
address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if rank == 0:
    server = socket.create_server(("", address[1]))
    for _ in range(world - 1):
        server.accept()[0].sendall(b"x")
    print("met", world, os.environ["GPUJOBS_NODES"])
else:
    while True:  # the other pod may begin much later
        try:
            server = socket.create_connection(address, 5); break
        except OSError:
            time.sleep(0.1)
    server.settimeout(None)
    print("got", server.recv(1), os.environ["GPUJOBS_LOCAL_RANK"])
"""


def sh(script: str, **fields: Any) -> GpuJob:
    """A job that runs a line of sh."""
    return GpuJob.model_validate({"command": ["sh", "-c", script], "grace": 1, **fields})


def texts(job: Any, **query: Any) -> list[str]:
    """The lines of its log."""
    return [line.text for line in job.logs(**query)]


def test_two_nodes_with_two_tasks_each_meet_at_rank_0(client: Client) -> None:
    """All four ranks find MASTER_ADDR by its name."""
    job = client.submit(GpuJob(command=["python3", "-c", MEET], image=PYTHON, nodes=2, tasks_per_node=2, gpus=1))
    status = job.wait(timeout=120)

    assert status.succeeded, job.explain()
    lines = texts(job)
    assert lines.count("met 4 2") == 1
    assert sorted(lines)[:3] == ["got b'x' 0", "got b'x' 1", "got b'x' 1"]
    assert [r.replica for r in job.replicas()] == [0, 1]


def test_a_failing_task_is_the_jobs_end(client: Client) -> None:
    """The others are ended, and its exit code is told."""
    script = 'test "$GPUJOBS_RANK" = 1 && exit 6; exec sleep 100'
    status = client.submit(sh(script, tasks_per_node=3)).wait(timeout=120)

    assert (status.state, status.exit_code) == (State.FAILED, 6)


def test_an_array_runs_a_few_at_a_time_and_its_elements_have_refs(client: Client) -> None:
    """Each element is a ref of its own; the rest of the array is not touched by one that fails."""
    job = client.submit(sh('echo "$GPUJOBS_REF"; sleep 1; exit $GPUJOBS_ARRAY_INDEX', array=3, parallelism=1))
    status = job.wait(timeout=120)

    assert (status.replicas.succeeded, status.replicas.failed) == (1, 2)
    assert texts(job) == [f"{job.ref}/{i}" for i in range(3)]
    assert [client.status(f"{job.ref}/{i}").exit_code for i in range(3)] == [0, 1, 2]
    assert [line.text for line in client.logs(f"{job.ref}/2")] == [f"{job.ref}/2"]
    assert client.status(f"{job.ref}/3").state is State.LOST
    assert "2 of 3 elements failed" in str(job.explain())


def test_memory_that_runs_out_is_told(client: Client) -> None:
    """OOMKilled is not just signal 9."""
    status = client.submit(GpuJob(command=["tail", "/dev/zero"], memory="20MiB")).wait(timeout=60)

    assert (status.state, status.signal, status.reason and status.reason.code) == (State.FAILED, 9, Reason.OOM)


def test_a_time_limit_keeps_the_log(client: Client) -> None:
    """The pod stays; its last words can be read."""
    job = client.submit(sh("trap 'echo ending; exit 0' TERM; echo begun; sleep 600 & wait", time_limit=12, grace=30))
    status = job.wait(timeout=60)

    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.TIMEOUT)
    assert texts(job) == ["begun", "ending"]


def test_a_deadline_counts_the_waiting_too(client: Client) -> None:
    """What could not start in time is FAILED by its deadline, and has no log."""
    job = client.submit(GpuJob(command=["true"], image="no-such:1", image_pull_policy="Never", deadline=4))
    status = job.wait(timeout=60)

    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.DEADLINE)
    assert [line for line in job.logs() if not line.gap] == []


def test_a_deadline_ends_what_runs(client: Client) -> None:
    """A job still running at its deadline is FAILED by it; its log is had, or the loss is a marked gap."""
    job = client.submit(sh("echo hi; sleep 600", deadline=15))
    status = job.wait(timeout=90)
    lines = list(job.logs())  # the Job is over once its pod ended, and the pod is removed about then

    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.DEADLINE)
    assert [line.text for line in lines if not (line.gap and "gone" in line.text)] in ([], ["hi"])
    assert lines


def test_a_job_that_never_starts_is_failed_when_asked(client: Client) -> None:
    """``start_timeout`` ends a wait that has no end, and says what it waited for."""
    job = client.submit(GpuJob(command=["true"], image="no-such:1", image_pull_policy="Never", start_timeout=12))
    status = job.wait(timeout=60)

    assert status.reason is not None
    assert (status.state, status.reason.code, status.started_at) == (State.FAILED, Reason.START_TIMEOUT, None)
    assert "ErrImageNeverPull" in status.reason.message


def test_a_waiting_job_can_be_cancelled(client: Client, bed: Bed, namespace: str) -> None:
    """It never runs, and what waits for it in turn is told."""
    first = client.submit(sh("exec sleep 600"))
    second = client.submit(sh("echo never", after=[first]))
    third = client.submit(sh("echo never", after=[second]))
    anyway = client.submit(sh("echo after", after=[f"any:{second.ref}"]))
    waits = second.status()
    assert (waits.state, waits.reason and waits.reason.code) == (State.PENDING, Reason.DEPENDENCY)
    second.cancel()

    assert second.wait(timeout=60).state is State.CANCELLED
    ended = third.wait(timeout=60)
    assert (ended.state, ended.reason and ended.reason.code) == (State.FAILED, Reason.DEPENDENCY)
    assert anyway.wait(timeout=60).succeeded
    pods = bed.kubectl("-n", namespace, "get", "pods", "-o", "name").split()
    assert len(pods) == 2
    first.cancel()
    assert first.wait(timeout=60).state is State.CANCELLED


def test_a_cancelled_job_keeps_its_log(client: Client, bed: Bed) -> None:
    """The pods of a job that ran stay, and so do their last words; a pod that waits for GPUs goes."""
    runs = client.submit(sh("trap 'echo term; exit 0' TERM; echo on; sleep 600 & wait", grace=30, retries=2))
    fills = client.submit(sh("exec sleep 600", gpus="a100:4"))
    bed.until(lambda: [s.state for s in client.status([runs, fills])] == [State.RUNNING] * 2 and texts(runs))
    waits = client.submit(sh("true", gpus="a100:1"))
    bed.until(lambda: (cause := waits.status().reason) and cause.code is Reason.INSUFFICIENT_GPU)
    client.cancel([runs, fills, waits])

    ended = client.wait([runs, fills, waits], timeout=60)
    assert [s.state for s in ended] == [State.CANCELLED] * 3
    assert texts(runs) == ["on", "term"]


def test_gpus_are_chosen_by_type_memory_and_sharing(client: Client) -> None:
    """Each way of asking lands on the node that has it; what no node has is refused with what there is."""
    asked = {"a100": "node1", "t4": "node2"}
    jobs = [client.submit(sh("nvidia-smi -L", gpus=kind)) for kind in asked]
    jobs.append(client.submit(sh("nvidia-smi -L", gpus=Gpu(1, memory="40GiB"))))
    jobs.append(client.submit(sh("nvidia-smi -L", gpus=Gpu(1, sharing="exclusive"))))
    ended = client.wait(jobs, timeout=90)

    assert [s.nodes for s in ended] == [("node1",), ("node2",), ("node1",), ("node1",)]
    assert all("UUID" in texts(job)[0] for job in jobs)
    for wrong in ("h100", 5, Gpu(1, memory="200GiB"), "1g.10gb"):
        with pytest.raises(PreflightError):
            client.submit(GpuJob(command=["true"], gpus=wrong))
    gpus = {g.node: (g.total, g.sharing, g.copies) for g in client.capacity().gpus}
    assert gpus == {"node1": (4, "exclusive", 1), "node2": (4, "time-slice", 4)}


def test_mig_and_renamed_shares_are_asked_for_by_their_own_names(client: Client, bed: Bed) -> None:
    """A profile becomes ``nvidia.com/mig-...``; time-sliced GPUs that are renamed become ``nvidia.com/gpu.shared``."""
    config = bed.run / "node2/gpus"
    before = config.read_text()
    smi = next(line for line in before.splitlines() if line.startswith("smi="))
    try:
        config.write_text(f"count=2\nmig=1g.10gb:7\n{smi}\n")
        bed.until(lambda: "mig-1g.10gb" in bed.kubectl("get", "node", "node2", "-o", "jsonpath={.status.allocatable}"))
        assert client.submit(sh("nvidia-smi -L", gpus="1g.10gb:2")).wait(timeout=60).nodes == ("node2",)
    finally:
        config.write_text(before)
    count = "jsonpath={.status.allocatable.nvidia\\.com/gpu}"
    bed.until(lambda: bed.kubectl("get", "node", "node2", "-o", count) == "4")


def test_scripts_setup_files_volumes_and_shm(client: Client) -> None:
    """A script of any interpreter, setup lines, files at absolute paths, an empty volume and shared memory."""
    script = "#!/usr/bin/env python3\nimport os, sys\nprint(sys.argv[1:], os.environ['SET'], open('/etc/it').read())\n"
    job = client.submit(
        GpuJob(
            image=PYTHON,
            script=script,
            args=["a b", "$HOME"],
            setup=["export SET='by setup'"],
            files={"/etc/it": "file"},
            volumes=[Volume("/scratch", empty=True, size="1MiB")],
            shm="16MiB",
            workdir="/scratch",
            security_context={"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
        )
    )
    assert job.wait(timeout=60).succeeded, job.explain()
    assert texts(job) == ["['a b', '$HOME'] by setup file"]
    sized = client.submit(sh("df -k /dev/shm | tail -1 | awk '{print $2}'; pwd", shm="16MiB"))
    sized.wait(timeout=60)
    assert texts(sized)[0] == "16384"


def test_what_the_patch_says_is_in_the_manifest(client: Client, bed: Bed, namespace: str) -> None:
    """``extra`` is merged as kubectl merges; it cannot change who the object is."""
    patch = {
        "spec": {"ttlSecondsAfterFinished": 600, "template": {"spec": {"containers": [{"name": "main", "tty": True}]}}}
    }
    job = client.submit(GpuJob(command=["true"], extra={"kubernetes": patch}))
    name = job.ref.id.rpartition("/")[2]
    spec = json.loads(bed.kubectl("-n", namespace, "get", "job", name, "-o", "json"))["spec"]
    assert spec["ttlSecondsAfterFinished"] == 600
    assert spec["template"]["spec"]["containers"][0]["tty"] is True

    with pytest.raises(SpecError, match="extra"):
        client.submit(GpuJob(command=["true"], extra={"kubernetes": {"metadata": {"name": "other"}}}))


@pytest.mark.parametrize("field", ["qos", "constraint", "output"])
def test_what_kubernetes_lacks_is_refused_by_name(client: Client, field: str) -> None:
    """Never dropped in silence."""
    with pytest.raises(UnsupportedError, match=field):
        client.submit(GpuJob.model_validate({"command": ["true"], field: "x"}))
