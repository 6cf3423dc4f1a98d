"""Objects as the API server sends them, as small as a test needs them."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from gpujobs.backend import Submission
from gpujobs.specs import GpuJob, GpuService

Table = dict[str, Any]
Notes = dict[str, str] | None


class MakePod(Protocol):
    """Makes a pod."""

    def __call__(self, status: Table | None = None, **meta: Any) -> Table:
        """The pod."""
        ...


class MakeJob(Protocol):
    """Makes a Job."""

    def __call__(self, status: Table | None = None, *, spec: Table | None = None, notes: Notes = None) -> Table:
        """The Job."""
        ...


class Submit(Protocol):
    """Makes a submission."""

    def __call__(self, spec: GpuJob | GpuService | None = None, *, key: str = ..., **fields: Any) -> Submission:
        """The submission."""
        ...


@pytest.fixture
def make_pod() -> MakePod:
    """A pod of the job ``j`` on node n1; keywords: index, attempt, deleting, name, node."""

    def make(status: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
        notes = {"batch.kubernetes.io/job-completion-index": str(meta.get("index", 0))}
        notes["batch.kubernetes.io/job-index-failure-count"] = str(meta.get("attempt", 0))
        labels = {"gpujobs/id": "j", "batch.kubernetes.io/controller-uid": meta.get("job", "u")}
        about = {
            "name": meta.get("name", "j-0-abcde"),
            "uid": meta.get("uid", meta.get("name", "p")),
            "resourceVersion": "7",
            "creationTimestamp": meta.get("created", "2026-01-01T00:00:01Z"),
            "labels": labels,
            "annotations": {**notes, **meta.get("annotations", {})},
        }
        if "deleting" in meta:
            about["deletionTimestamp"] = meta["deleting"]
        return {"metadata": about, "spec": {"nodeName": meta.get("node", "n1")}, "status": status or {}}

    return make


@pytest.fixture
def make_job() -> MakeJob:
    """The Job ``j``; ``notes`` are annotations of gpujobs."""

    def make(status: Table | None = None, *, spec: Table | None = None, notes: Notes = None) -> Table:
        about = {
            "name": "j",
            "namespace": "ns",
            "uid": "u",
            "resourceVersion": "9",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app.kubernetes.io/managed-by": "gpujobs"},
            "annotations": {f"gpujobs/{k.replace('_', '-')}": v for k, v in (notes or {}).items()},
        }
        body = {"completions": 1, "completionMode": "Indexed", "template": {"spec": {}}, **(spec or {})}
        return {"metadata": about, "spec": body, "status": status or {}}

    return make


@pytest.fixture
def submit() -> Submit:
    """A submission, as the core makes it."""

    def make(spec: GpuJob | GpuService | None = None, *, key: str = "key", **fields: Any) -> Submission:
        given = {"command": ["true"], "image": "busybox:1", **fields}
        return Submission(spec or GpuJob.model_validate(given), key, "a" * 64)

    return make
