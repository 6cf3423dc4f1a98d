"""Looking at a job that waits for others: what may not be done about it never fails the look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gpujobs.backend import Runtime, Target
from gpujobs.reasons import Reason
from gpujobs.refs import Ref
from gpujobs.states import State
from gpujobs_kubernetes import KubernetesBackend, KubernetesOptions

from .test_edge import Answer, Server, clock, kubeconfig, server, told

if TYPE_CHECKING:
    from pathlib import Path

    from gpujobs.testing.clock import ManualClock
    from tests.unit.kubernetes.conftest import MakeJob

__all__ = ["clock", "server"]
REF = Ref("kubernetes", "k", "ml/job/j")
NONE: Answer = (200, {}, {"items": [], "metadata": {}})
FORBIDDEN: Answer = (403, {}, told("Forbidden", 'jobs is forbidden: User "u" cannot get resource "jobs"'))


def waiting(make_job: MakeJob, upstream: str) -> Answer:
    """The Job ``j``, which waits for the success of another."""
    notes = {"hold": "after", "after": f"ok:kubernetes://k/{upstream}"}
    item: dict[str, Any] = make_job(spec={"suspend": True}, notes=notes)
    item["metadata"]["namespace"] = "ml"
    return 200, {}, item


@pytest.fixture
def backend(server: Server, clock: ManualClock, tmp_path: Path) -> KubernetesBackend:
    """A backend on that server."""
    file = kubeconfig(tmp_path / "config", f"http://127.0.0.1:{server.http.server_port}")
    options = KubernetesOptions(kubeconfig=str(file), timeout=60)
    return KubernetesBackend(Target("k", "kubernetes", options), Runtime(tmp_path, clock))


def test_an_upstream_that_may_not_be_seen_keeps_it_waiting(
    server: Server, backend: KubernetesBackend, make_job: MakeJob
) -> None:
    """In a namespace that is another's."""
    server.answers = [waiting(make_job, "elsewhere/job/x"), NONE, FORBIDDEN]
    (status,) = backend.statuses([REF])

    assert (status.state, status.reason and status.reason.code) == (State.PENDING, Reason.DEPENDENCY)


def test_a_client_that_may_only_look_starts_nothing(
    server: Server, backend: KubernetesBackend, make_job: MakeJob
) -> None:
    """The upstream has succeeded, but starting the job is refused: the next client that may will do it."""
    upstream = make_job({"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1})
    server.answers = [waiting(make_job, "ml/job/x"), NONE, (200, {}, upstream), NONE, FORBIDDEN]
    upstream["metadata"]["name"] = "x"
    (status,) = backend.statuses([REF])

    assert (status.state, status.reason and status.reason.code) == (State.PENDING, Reason.DEPENDENCY)
    assert [verb for verb, _, _ in server.asked][-1] == "PATCH"
