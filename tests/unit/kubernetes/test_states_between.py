"""What is told in the moments between the end of a pod and the end of its Job, and of pods that are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Reason, State
from gpujobs_kubernetes._states import job_status
from gpujobs_kubernetes._views import job_view, pod_view

from .test_states import NOW, REF, disrupted, ended, failed

if TYPE_CHECKING:
    from tests.unit.kubernetes.conftest import MakeJob, MakePod

CANCELLED = {"ended": "cancelled It was cancelled."}


@pytest.mark.parametrize(
    ("pod", "retries", "notes", "told"),
    [
        (ended(3), 1, {}, (State.PENDING, Reason.REQUEUED)),
        (ended(3), 0, {}, (State.RUNNING, Reason.STOPPING)),
        (ended(143) | disrupted("EvictionByEvictionAPI"), 0, {}, (State.PENDING, Reason.REQUEUED)),
        (ended(143), 5, CANCELLED, (State.RUNNING, Reason.STOPPING)),
    ],
)
def test_only_what_is_tried_again_is_said_to_be(
    make_job: MakeJob,
    make_pod: MakePod,
    *,
    pod: dict[str, Any],
    retries: int,
    notes: dict[str, str],
    told: tuple[State, Reason],
) -> None:
    """A pod has failed, and the Job does not say yet what follows: its retries, and who ended it, do."""
    job = make_job(spec={"backoffLimitPerIndex": retries}, notes=notes)
    found = job_status(REF, job_view(job), [pod_view(make_pod(pod))], now=NOW)

    assert (found.state, found.reason and found.reason.code) == told


@pytest.mark.parametrize(
    ("condition", "index"), [("SuccessCriteriaMet", "completedIndexes"), ("FailureTarget", "failedIndexes")]
)
def test_a_job_never_goes_back_to_waiting_when_it_ends(
    make_job: MakeJob, make_pod: MakePod, condition: str, index: str
) -> None:
    """All of it has ended and the outcome is decided, but the Job is not over yet."""
    status = {"conditions": [{"type": condition, "status": "True"}], index: "0"}
    code = 0 if index == "completedIndexes" else 3
    pod = make_pod(ended(code, phase="Failed" if code else "Succeeded"))
    found = job_status(REF, job_view(make_job(status)), [pod_view(pod)], now=NOW)

    assert (found.state, found.reason and found.reason.code) == (State.RUNNING, Reason.STOPPING)


def test_what_never_started_has_no_start(make_job: MakeJob, make_pod: MakePod) -> None:
    """The kubelet writes 1970 where a container could not be started."""
    status = ended(128, "StartError")
    status["containerStatuses"][0]["state"]["terminated"]["startedAt"] = "1970-01-01T00:00:00Z"
    found = job_status(REF, job_view(make_job(failed())), [pod_view(make_pod(status))], now=NOW)

    assert (found.state, found.started_at) == (State.FAILED, None)


@pytest.mark.parametrize(("failures", "attempt"), [(1, 0), (3, 2)])
def test_the_attempt_that_an_end_took_down_is_no_other(make_job: MakeJob, failures: int, attempt: int) -> None:
    """Kubernetes counts the pod that it removed for a deadline as failed, one that never started too."""
    job = make_job(failed("DeadlineExceeded", failed=failures), notes=CANCELLED)
    found = job_status(REF, job_view(job), [], now=NOW)

    assert (found.state, found.attempt) == (State.CANCELLED, attempt)
