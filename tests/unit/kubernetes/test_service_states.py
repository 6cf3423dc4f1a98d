"""Where a service stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Reason, Ref, State
from gpujobs_kubernetes._service_states import service_copies, service_status
from gpujobs_kubernetes._service_views import service_view
from gpujobs_kubernetes._views import pod_view

if TYPE_CHECKING:
    from tests.unit.kubernetes.conftest import MakePod

REF = Ref("kubernetes", "k", "ns/service/s")
NOW = 1767225700.0
STARTED = {"running": {"startedAt": "2026-01-01T00:00:02Z"}}
READY = {
    "phase": "Running",
    "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [{"name": "main", "state": STARTED}],
}
UNREADY = {"phase": "Running", "containerStatuses": [{"name": "main", "state": STARTED}]}
CRASHING = {
    "phase": "Running",
    "containerStatuses": [
        {
            "name": "main",
            "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
        }
    ],
}


def deployment(wanted: int = 2, ready: int = 0, updated: int | None = None, **notes: str) -> dict[str, Any]:
    """A Deployment."""
    status = {
        "observedGeneration": 1,
        "replicas": wanted,
        "readyReplicas": ready,
        "updatedReplicas": wanted if updated is None else updated,
    }
    about = {
        "name": "s",
        "namespace": "ns",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {f"gpujobs/{k}": v for k, v in notes.items()},
    }
    return {"metadata": about, "spec": {"replicas": wanted}, "status": status}


@pytest.mark.parametrize(
    ("object_", "pods", "state", "reason"),
    [
        (deployment(2, 2), [READY, READY], State.RUNNING, None),
        (deployment(2, 1), [READY, UNREADY], State.RUNNING, Reason.NOT_READY),
        (deployment(1, 0), [UNREADY], State.PENDING, Reason.NOT_READY),
        (deployment(1, 0), [CRASHING], State.PENDING, Reason.CRASH_LOOP),
        (deployment(1, 0), [], State.PENDING, Reason.STARTING),
        (deployment(0), [], State.SUSPENDED, Reason.PAUSED),
        (deployment(0, hold="children"), [], State.PENDING, Reason.STARTING),
        (deployment(0, ended="cancelled It was cancelled."), [], State.CANCELLED, Reason.CANCELLED),
        (deployment(0, ended="cancelled It was cancelled."), [READY], State.RUNNING, Reason.STOPPING),
    ],
)
def test_where_a_service_stands(
    make_pod: MakePod, object_: dict[str, Any], pods: list[dict[str, Any]], state: State, reason: Reason | None
) -> None:
    """State and reason from the Deployment's counts and its pods."""
    views = [pod_view(make_pod(p, name=f"p{i}")) for i, p in enumerate(pods)]
    found = service_status(REF, service_view(object_), views, now=NOW)

    assert (found.state, found.reason.code if found.reason else None) == (state, reason)


def test_a_rollout_is_over_when_no_old_copy_is_left(make_pod: MakePod) -> None:
    """Old copies that still end count, and so does a definition that its controller has not seen."""
    leaving = pod_view(make_pod(READY, name="old", deleting="2026-01-01T00:05:00Z"))
    unseen = deployment(1, 1)
    unseen["metadata"]["generation"] = 2

    assert service_status(REF, service_view(deployment(1, 1)), [leaving], now=NOW).replicas.outdated == 1
    assert service_status(REF, service_view(deployment(2, 2, 1)), [], now=NOW).replicas.outdated == 1
    assert service_status(REF, service_view(unseen), [], now=NOW).replicas.outdated == 1


def test_copies_are_numbered_oldest_first(make_pod: MakePod) -> None:
    """Those that are being ended are no copies any more."""
    pods = [
        pod_view(make_pod(READY, name="b", created="2026-01-01T00:00:03Z")),
        pod_view(make_pod(UNREADY, name="a", created="2026-01-01T00:00:02Z")),
        pod_view(make_pod(READY, name="x", created="2026-01-01T00:00:01Z", deleting="2026-01-01T00:05:00Z")),
    ]

    assert [(c.replica, c.name, c.ready) for c in service_copies(pods)] == [(0, "a", False), (1, "b", True)]
