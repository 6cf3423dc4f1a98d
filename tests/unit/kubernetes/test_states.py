"""Where a job stands, from what the API server says of it and of its pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Reason, Ref, State
from gpujobs_kubernetes import _reasons
from gpujobs_kubernetes._states import job_status
from gpujobs_kubernetes._views import job_view, pod_view

if TYPE_CHECKING:
    from tests.unit.kubernetes.conftest import MakeJob, MakePod

REF = Ref("kubernetes", "k", "ns/job/j")
NOW = 1767225700.0  # 2026-01-01T00:01:40Z
COMPLETE = {
    "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"}],
    "completionTime": "2026-01-01T00:01:00Z",
    "startTime": "2026-01-01T00:00:00Z",
    "completedIndexes": "0",
}
RUNNING = {
    "phase": "Running",
    "containerStatuses": [{"name": "main", "state": {"running": {"startedAt": "2026-01-01T00:00:02Z"}}}],
}


def failed(reason: str = "FailedIndexes", **more: Any) -> dict[str, Any]:
    """The status of a Job that failed."""
    condition = {
        "type": "Failed",
        "status": "True",
        "reason": reason,
        "message": "m",
        "lastTransitionTime": "2026-01-01T00:01:00Z",
    }
    return {"conditions": [condition], "startTime": "2026-01-01T00:00:00Z", "failedIndexes": "0", **more}


def ended(code: int, reason: str = "Error", phase: str = "Failed", **more: Any) -> dict[str, Any]:
    """The status of a pod that ended."""
    terminated = {
        "exitCode": code,
        "reason": reason,
        "startedAt": "2026-01-01T00:00:02Z",
        "finishedAt": "2026-01-01T00:00:09Z",
        "message": more.pop("text", ""),
    }
    return {"phase": phase, "containerStatuses": [{"name": "main", "state": {"terminated": terminated}}], **more}


def waits(reason: str, message: str = "m") -> dict[str, Any]:
    """The status of a pod whose container waits."""
    return {
        "phase": "Pending",
        "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}],
    }


def disrupted(reason: str) -> dict[str, Any]:
    """The conditions of a pod that the system ended."""
    return {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "told"}]}


def unscheduled(message: str, reason: str = "Unschedulable") -> dict[str, Any]:
    """The status of a pod that has no node."""
    return {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": reason, "message": message}],
    }


@pytest.mark.parametrize(
    ("status", "exit_code", "signal", "reason"),
    [
        (ended(7), 7, None, Reason.EXIT_CODE),
        (ended(127), 127, None, Reason.EXIT_CODE),
        (ended(139), None, 11, Reason.SIGNAL),
        (ended(137, "OOMKilled"), None, 9, Reason.OOM),
        (
            ended(128, "StartError", text='exec: "x": executable file not found in $PATH'),
            127,
            None,
            Reason.LAUNCH_FAILED,
        ),
        (ended(128, "StartError", text="permission denied"), 126, None, Reason.LAUNCH_FAILED),
        (ended(137, "ContainerStatusUnknown"), None, None, Reason.NODE_FAIL),
        (ended(137, reason="Error") | {"reason": "DeadlineExceeded"}, None, None, Reason.TIMEOUT),
        (ended(0, "Completed") | {"reason": "DeadlineExceeded"}, None, None, Reason.TIMEOUT),
        (ended(143) | disrupted("PreemptionByScheduler"), None, None, Reason.PREEMPTED),
        (ended(143) | disrupted("EvictionByEvictionAPI"), None, None, Reason.EVICTED),
        (ended(143) | disrupted("DeletionByTaintManager"), None, None, Reason.NODE_FAIL),
        (ended(143) | disrupted("TerminationByKubelet"), None, None, Reason.EVICTED),
        (ended(143) | disrupted("SomethingNew"), None, None, Reason.EVICTED),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, None, None, Reason.EVICTED),
        ({"phase": "Failed", "reason": "NodeLost"}, None, None, Reason.NODE_FAIL),
        ({"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "gpu"}, None, None, Reason.LAUNCH_FAILED),
        ({"phase": "Failed", "reason": "OutOfnvidia.com/gpu"}, None, None, Reason.LAUNCH_FAILED),
        ({"phase": "Failed"}, None, None, Reason.UNKNOWN),
    ],
)
def test_every_bad_end_is_told_apart(  # noqa: PLR0917  # one column of the table each
    make_job: MakeJob,
    make_pod: MakePod,
    status: dict[str, Any],
    exit_code: int | None,
    signal: int | None,
    reason: Reason,
) -> None:
    """Exit code, signal and reason."""
    found = job_status(REF, job_view(make_job(failed())), [pod_view(make_pod(status))], now=NOW)

    assert found.reason is not None
    assert (found.state, found.exit_code, found.signal, found.reason.code) == (State.FAILED, exit_code, signal, reason)
    assert found.reason.message


def test_a_good_end(make_job: MakeJob, make_pod: MakePod) -> None:
    """Exit 0, times in order, nothing to complain of; also once the pod is gone."""
    view, pod = job_view(make_job(COMPLETE)), pod_view(make_pod(ended(0, "Completed", "Succeeded")))
    found = job_status(REF, view, [pod], now=NOW)

    assert (found.state, found.exit_code, found.reason, found.nodes) == (State.SUCCEEDED, 0, None, ("n1",))
    assert found.started_at is not None
    assert found.ended_at is not None
    assert found.started_at < found.ended_at
    assert job_status(REF, view, [], now=NOW).exit_code == 0


def test_memory_that_ran_out_under_a_command_that_ended_well_is_a_warning(make_job: MakeJob, make_pod: MakePod) -> None:
    """SUCCEEDED, with the reason said."""
    found = job_status(
        REF, job_view(make_job(COMPLETE)), [pod_view(make_pod(ended(0, "OOMKilled", "Succeeded")))], now=NOW
    )

    assert found.state is State.SUCCEEDED
    assert found.reason is not None
    assert found.reason.code is Reason.OOM


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"phase": "Pending"}, Reason.STARTING),
        (waits("ContainerCreating"), Reason.STARTING),
        (waits("ImagePullBackOff"), Reason.IMAGE_PULL),
        (waits("CreateContainerConfigError"), Reason.CONFIG),
        (waits("NeverHeardOf"), Reason.UNKNOWN),
        (
            unscheduled("0/2 nodes are available: 2 Insufficient nvidia.com/gpu. no new claims."),
            Reason.INSUFFICIENT_GPU,
        ),
        (
            unscheduled("0/2 nodes are available: 2 Insufficient memory, 1 Insufficient cpu."),
            Reason.INSUFFICIENT_RESOURCES,
        ),
        (unscheduled("0/2 nodes are available: 2 node(s) had untolerated taint {x}."), Reason.UNSCHEDULABLE),
        (unscheduled('persistentvolumeclaim "x" not found'), Reason.VOLUME),
        (unscheduled("", "SchedulingGated"), Reason.HELD),
    ],
)
def test_every_wait_has_a_reason(make_job: MakeJob, make_pod: MakePod, status: dict[str, Any], reason: Reason) -> None:
    """PENDING, and why."""
    found = job_status(REF, job_view(make_job()), [pod_view(make_pod(status))], now=NOW)

    assert found.reason is not None
    assert (found.state, found.reason.code) == (State.PENDING, reason)


def test_the_words_of_the_kubelet_are_all_known() -> None:
    """pkg/kubelet/images/types.go and pkg/kubelet/kuberuntime, as of 1.36."""
    words = {"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "ErrImageNeverPull", "InvalidImageName"}
    words |= {"RegistryUnavailable", "SignatureValidationFailed", "CreateContainerConfigError", "CreateContainerError"}
    words |= {"RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError", "CrashLoopBackOff"}
    words |= {"ContainerCreating", "PodInitializing", "ImageVolumeMountFailed"}

    assert words == set(_reasons.WAITING)
    assert set(_reasons.DISRUPTED) >= {
        "PreemptionByScheduler",
        "DeletionByTaintManager",
        "EvictionByEvictionAPI",
        "DeletionByPodGC",
        "TerminationByKubelet",
    }


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "x" is forbidden: exceeded quota: gpus, requested: 2', Reason.QUOTA),
        ('error looking up service account ns/x: serviceaccount "x" not found', Reason.CONFIG),
        ('pods "x" is forbidden: no PriorityClass with name x was found', Reason.CONFIG),
        ('pods "x" is forbidden: violates PodSecurity "restricted"', Reason.ADMISSION),
    ],
)
def test_a_job_without_pods_is_told_by_its_event(make_job: MakeJob, message: str, reason: Reason) -> None:
    """The Job itself says nothing."""
    found = job_status(REF, job_view(make_job()), [], now=NOW, refusal=message)

    assert found.reason is not None
    assert (found.state, found.reason.code) == (State.PENDING, reason)
    assert message in found.reason.message


@pytest.mark.parametrize(
    ("note", "state", "reason"),
    [
        ("cancelled It was cancelled.", State.CANCELLED, Reason.CANCELLED),
        ("dependency It waited.", State.FAILED, Reason.DEPENDENCY),
        ("start-timeout Too late.", State.FAILED, Reason.START_TIMEOUT),
        ("deadline Too late.", State.FAILED, Reason.DEADLINE),
    ],
)
def test_an_end_that_gpujobs_asked_for_is_told_by_its_note(
    make_job: MakeJob, make_pod: MakePod, note: str, state: State, reason: Reason
) -> None:
    """Not by what Kubernetes calls it; until no pod runs it is still RUNNING, and ending."""
    pods = [pod_view(make_pod(ended(137) | {"reason": "DeadlineExceeded"}))]
    over = job_status(REF, job_view(make_job(failed("DeadlineExceeded"), notes={"ended": note})), pods, now=NOW)
    still = job_status(REF, job_view(make_job(notes={"ended": note})), [pod_view(make_pod(RUNNING))], now=NOW)

    assert over.reason is not None
    assert (over.state, over.reason.code, over.exit_code) == (state, reason, None)
    assert still.reason is not None
    assert (still.state, still.reason.code) == (State.RUNNING, Reason.STOPPING)


def test_a_job_that_ended_before_it_was_cancelled_has_succeeded(make_job: MakeJob) -> None:
    """The note alone is no end."""
    assert (
        job_status(REF, job_view(make_job(COMPLETE, notes={"ended": "cancelled x"})), [], now=NOW).state
        is State.SUCCEEDED
    )


@pytest.mark.parametrize(
    ("spec", "notes", "state", "reason"),
    [
        ({"suspend": True}, {"hold": "children"}, State.PENDING, Reason.STARTING),
        ({"suspend": True}, {"hold": "after", "after": "ok:kubernetes://k/ns/job/x"}, State.PENDING, Reason.DEPENDENCY),
        ({"suspend": True}, {}, State.SUSPENDED, Reason.PAUSED),
        ({}, {}, State.PENDING, Reason.STARTING),
    ],
)
def test_why_a_job_is_suspended(
    make_job: MakeJob, spec: dict[str, Any], notes: dict[str, str], state: State, reason: Reason
) -> None:
    """By us, by an upstream, or by somebody."""
    found = job_status(REF, job_view(make_job(spec=spec, notes=notes)), [], now=NOW)

    assert found.reason is not None
    assert (found.state, found.reason.code) == (state, reason)


def test_a_pod_that_does_not_go_means_a_silent_node(make_job: MakeJob, make_pod: MakePod) -> None:
    """Its phase stays Running; within its grace it is only ending."""
    dead = pod_view(make_pod(RUNNING, deleting="2026-01-01T00:00:30Z"))
    found = job_status(REF, job_view(make_job()), [dead], now=NOW)
    before = job_status(REF, job_view(make_job()), [dead], now=NOW - 65)

    assert found.reason is not None
    assert (found.state, found.reason.code) == (State.RUNNING, Reason.NODE_UNAVAILABLE)
    assert before.reason is not None
    assert before.reason.code is Reason.STOPPING


def test_the_newest_attempt_counts(make_job: MakeJob, make_pod: MakePod) -> None:
    """A failed pod and the one that took its place."""
    pods = [pod_view(make_pod(RUNNING, attempt=1, name="b")), pod_view(make_pod(ended(3), name="a"))]
    found = job_status(REF, job_view(make_job()), pods, now=NOW)

    assert (found.state, found.attempt, found.replicas.running) == (State.RUNNING, 1, 1)
