"""Arrays and gangs: many pods, one state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs import Reason, Ref, State
from gpujobs_kubernetes._states import element_status, job_status
from gpujobs_kubernetes._views import job_view, parse_indexes, pod_view

from .test_states import RUNNING, ended, unscheduled

if TYPE_CHECKING:
    from tests.unit.kubernetes.conftest import MakeJob, MakePod


REF = Ref("kubernetes", "k", "ns/job/j")
NOW = 1767225700.0  # 2026-01-01T00:01:40Z


def test_an_array_sums_up_and_its_elements_stand_alone(make_job: MakeJob, make_pod: MakePod) -> None:
    """Which failed, with what; an element that has not begun waits for its turn."""
    job = job_view(make_job({"completedIndexes": "0", "failedIndexes": "1"}, spec={"completions": 4}))
    pods = [pod_view(make_pod(ended(5), index=1)), pod_view(make_pod(RUNNING, index=2, name="c"))]
    whole = job_status(REF, job, pods, now=NOW)
    each = [element_status(REF, i, job, pods, now=NOW) for i in range(4)]

    counts = whole.replicas
    assert (whole.state, counts.wanted, counts.succeeded, counts.failed, counts.running) == (State.RUNNING, 4, 1, 1, 1)
    assert [s.state for s in each] == [State.SUCCEEDED, State.FAILED, State.RUNNING, State.PENDING]
    assert [s.exit_code for s in each] == [0, 5, None, None]
    assert each[3].reason is not None
    assert each[3].reason.code is Reason.ARRAY_LIMIT


def test_a_gang_that_is_half_there_says_so(make_job: MakeJob, make_pod: MakePod) -> None:
    """Some nodes run and wait for the others."""
    spec = {"completions": 2, "template": {"spec": {"subdomain": "j"}}}
    pods = [
        pod_view(make_pod(RUNNING)),
        pod_view(make_pod(unscheduled("2 Insufficient nvidia.com/gpu."), index=1, name="b")),
    ]
    found = job_status(REF, job_view(make_job(spec=spec)), pods, now=NOW)

    assert found.state is State.RUNNING
    assert found.reason is not None
    assert found.reason.code is Reason.INSUFFICIENT_GPU
    assert "wait for the others" in found.reason.message


def test_index_lists_are_read() -> None:
    """As a Job's status writes them."""
    assert parse_indexes("1,3-5,9") == {1, 3, 4, 5, 9}
    assert parse_indexes(None) == parse_indexes("") == set()
