"""Ending workloads so that their records, pods and logs stay; and deleting what has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.errors import GpuJobsError, NotFoundError, RejectedError
from gpujobs_kubernetes._api import DEPLOYMENTS, JOBS, PODS, path
from gpujobs_kubernetes._errors import ModifiedError
from gpujobs_kubernetes._lookup import COLLECTIONS, ours
from gpujobs_kubernetes._names import ENDED, HOLD, ID
from gpujobs_kubernetes._service_views import service_view
from gpujobs_kubernetes._views import job_view, pod_view

if TYPE_CHECKING:
    from gpujobs_kubernetes._api import Api, Table
    from gpujobs_kubernetes._names import Place

CANCELLED = "cancelled It was cancelled."
_TRIES = 5


def end(api: Api, place: Place, note: str = CANCELLED) -> None:
    """End a workload for the reason in ``note`` (a code, then a sentence); one that has ended is left as it is.

    Raises:
        NotFoundError: There is no such workload.
    """
    if place.kind == "service":
        _end_service(api, place, note)
    elif place.index is not None:
        _end_element(api, place)
    else:
        _end_job(api, place, note)


def existing(api: Api, place: Place) -> Table:
    """The object of a workload.

    Raises:
        NotFoundError: There is none that gpujobs made.
    """
    try:
        found = api.get(path(COLLECTIONS[place.kind], place.namespace, place.name))
    except NotFoundError:
        found = {}
    if not found or not ours(found):
        raise NotFoundError(
            f"There is no {place.kind} {place.name!r} in the namespace {place.namespace!r}.",
            next_step="`gpujobs ps --all` shows what there is.",
        )
    return found


def _end_service(api: Api, place: Place, note: str) -> None:
    view = service_view(existing(api, place))
    if view.ending is None:
        patch = {"metadata": {"annotations": {ENDED: note, HOLD: None}}, "spec": {"replicas": 0}}
        api.patch(path(DEPLOYMENTS, place.namespace, place.name), patch)


def _end_job(api: Api, place: Place, note: str) -> None:
    where = path(JOBS, place.namespace, place.name)
    for _ in range(_TRIES):
        found = existing(api, place)
        view = job_view(found)
        if view.over or view.deleting:
            return
        # The first note stands: what was cancelled stays cancelled, whoever ends it again. The version keeps a
        # release out that happens at the same moment.
        meta: Table = {"resourceVersion": found["metadata"]["resourceVersion"]}
        if view.ending is None:
            meta["annotations"] = {ENDED: note}
        try:
            if view.suspended:
                spec = {"parallelism": 0, "suspend": False, "activeDeadlineSeconds": 1}
                api.patch(where, {"metadata": meta, "spec": spec})
            else:
                api.patch(where, {"metadata": meta})
                _end_pods(api, place)
        except ModifiedError:
            continue
        return
    raise RejectedError(f"{place.name} changes too fast to be ended.", next_step="Try again.")


def _end_pods(api: Api, place: Place) -> None:
    """Each pod by its own deadline, which keeps it and its log; what has no pod yet by the Job's."""
    pods = [pod_view(p) for p in api.list(path(PODS, place.namespace), {"labelSelector": f"{ID}={place.name}"})]
    open_pods = [p for p in pods if not p.over]
    # Else the first to end would be replaced while the others still end.
    spec: Table = {"backoffLimit": 0}
    started = [p for p in open_pods if p.node and not p.deleting]
    for pod in started:
        _end_pod(api, place, pod.name)
    if len(started) < len(open_pods) or not open_pods:
        spec["activeDeadlineSeconds"] = 1
    api.patch(path(JOBS, place.namespace, place.name), {"spec": spec})


def _end_pod(api: Api, place: Place, name: str) -> None:
    note = {"annotations": {ENDED: CANCELLED}}
    try:
        api.patch(path(PODS, place.namespace, name), {"metadata": note, "spec": {"activeDeadlineSeconds": 1}})
    except NotFoundError:
        return


def _end_element(api: Api, place: Place) -> None:
    """One element of an array: only a pod that runs can be ended alone."""
    view = job_view(existing(api, place))
    if view.over:
        return
    if view.retries:
        raise RejectedError(
            f"Kubernetes would try element {place.index} of {place.name} again: it has retries.",
            next_step="Cancel the whole array.",
        )
    pods = [pod_view(p) for p in api.list(path(PODS, place.namespace), {"labelSelector": f"{ID}={place.name}"})]
    running = [p for p in pods if p.index == place.index and not p.over and p.node]
    for pod in running:
        _end_pod(api, place, pod.name)
    if not running and not any(p.index == place.index for p in pods):
        raise RejectedError(
            f"Element {place.index} of {place.name} has not started; Kubernetes cannot end it alone.",
            next_step="Cancel the whole array, or wait until the element runs.",
        )


def delete(api: Api, place: Place) -> GpuJobsError | None:
    """Remove a finished job, or a service in any state; its children and pods go with it.

    Raises:
        NotFoundError: There is no such workload.
    """
    found = existing(api, place)
    meta = found["metadata"]
    if place.kind == "job" and not job_view(found).over:
        return RejectedError(
            f"{place.namespace}/{place.name} has not ended.", next_step="Cancel it first, then delete it."
        )
    # The uid: never another of that name that somebody made since.
    body = {"propagationPolicy": "Background", "preconditions": {"uid": meta["uid"]}}
    api.delete(path(COLLECTIONS[place.kind], place.namespace, place.name), body)
    return None
