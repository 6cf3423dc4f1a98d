"""Asking for many workloads at once: a constant number of LISTs per namespace, page by page, whatever their number."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpujobs.errors import NotFoundError
from gpujobs_kubernetes._api import DEPLOYMENTS, EVENTS, JOBS, PODS, path
from gpujobs_kubernetes._names import ID, JOB_NAME, MANAGED, MANAGED_BY, WAITS, Place
from gpujobs_kubernetes._service_views import ServiceView, service_view
from gpujobs_kubernetes._tables import inside, labels_of
from gpujobs_kubernetes._views import JobView, PodView, job_view, parse_time, pod_view

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from gpujobs_kubernetes._api import Api, Table
    from gpujobs_kubernetes._names import Kind

FEW = 40
"""So many names fit into one selector; more are found by listing all that gpujobs made."""
_SETTLED_S = 1.0
COLLECTIONS: dict[Kind, str] = {"job": JOBS, "service": DEPLOYMENTS}
_ALL = ",".join(f"{k}={v}" for k, v in MANAGED.items())


@dataclass(slots=True)
class Found:
    """What was found of the workloads asked for."""

    jobs: dict[Place, JobView] = field(default_factory=dict[Place, JobView])
    services: dict[Place, ServiceView] = field(default_factory=dict[Place, ServiceView])
    pods: dict[Place, list[PodView]] = field(default_factory=lambda: defaultdict[Place, list[PodView]](list))
    refusals: dict[Place, str] = field(default_factory=dict[Place, str])
    """Why a Job without pods cannot have any: its newest FailedCreate event."""

    def pods_of(self, place: Place) -> list[PodView]:
        """The pods of a workload; those of a deleted Job of the same name, which linger, are not its own."""
        view = self.jobs.get(place)
        pods = self.pods.get(place, [])
        return pods if view is None else [p for p in pods if p.job_uid in {"", view.uid}]


def ours(item: Mapping[str, object]) -> bool:
    """Whether gpujobs made the object."""
    return labels_of(item).get(MANAGED_BY) == MANAGED[MANAGED_BY]


def find(api: Api, places: Iterable[Place], *, now: float, patient: bool) -> Found:
    """The workloads at these places; those that are not there are missing from the answer.

    Raises:
        UnavailableError: The API server cannot be asked.
    """
    wanted: dict[tuple[str, Kind], dict[str, Place]] = defaultdict(dict)
    for place in places:
        wanted[place.namespace, place.kind][place.name] = place
    found = Found()
    for (namespace, kind), named in wanted.items():
        for item in _objects(api, namespace, kind, named.keys(), patient=patient):
            add_object(found, item, named[item["metadata"]["name"]])
        for item in _pods(api, namespace, named.keys(), patient=patient):
            pod = pod_view(item)
            if pod.owner in named:
                found.pods[named[pod.owner]].append(pod)
    _add_refusals(api, found, now=now, patient=patient)
    return found


def find_all(
    api: Api, namespace: str, selector: str, *, kinds: Sequence[Kind] = ("job", "service"), now: float
) -> Found:
    """Every workload that gpujobs made in a namespace, as far as ``selector`` (more labels) goes."""
    found = Found()
    query = {"labelSelector": f"{_ALL},{selector}" if selector else _ALL}
    for kind in kinds:
        for item in api.items(path(COLLECTIONS[kind], namespace), query):
            add_object(found, item, Place(namespace, kind, item["metadata"]["name"]))
    for item in api.items(path(PODS, namespace), query):
        pod = pod_view(item)
        owner: Kind = "job" if JOB_NAME in item["metadata"].get("labels", {}) else "service"
        found.pods[Place(namespace, owner, pod.owner)].append(pod)
    _add_refusals(api, found, now=now, patient=True)
    return found


def find_waiting(api: Api, namespace: str) -> Found:
    """The Jobs of a namespace that may wait for others, without their pods: they have none."""
    found = Found()
    for item in api.list(path(JOBS, namespace), {"labelSelector": f"{_ALL},{WAITS}"}, patient=False):
        add_object(found, item, Place(namespace, "job", item["metadata"]["name"]))
    return found


def add_object(found: Found, item: Table, place: Place) -> None:
    """Take up a Job or Deployment, if it is ours."""
    if not ours(item):
        return
    if place.kind == "job":
        found.jobs[place] = job_view(item)
    else:
        found.services[place] = service_view(item)


def _objects(api: Api, namespace: str, kind: Kind, names: AbstractSet[str], *, patient: bool) -> Iterator[Table]:
    collection = COLLECTIONS[kind]
    if len(names) == 1:
        try:
            yield api.get(path(collection, namespace, next(iter(names))), patient=patient)
        except NotFoundError:
            return
        return
    for item in api.items(path(collection, namespace), {"labelSelector": _selector(names)}, patient=patient):
        if item["metadata"]["name"] in names:
            yield item


def _pods(api: Api, namespace: str, names: AbstractSet[str], *, patient: bool) -> Iterator[Table]:
    return api.items(path(PODS, namespace), {"labelSelector": _selector(names)}, patient=patient)


def _selector(names: AbstractSet[str]) -> str:
    if len(names) == 1:
        return f"{ID}={next(iter(names))}"
    return f"{ID} in ({','.join(sorted(names))})" if len(names) <= FEW else _ALL


def silent(found: Found, *, now: float) -> dict[str, list[str]]:
    """The Jobs that should have pods by now and have none, by namespace: only an event tells why."""
    names: dict[str, list[str]] = defaultdict(list)
    for place, view in found.jobs.items():
        if view.over or view.suspended or found.pods_of(place):
            continue
        created = parse_time(view.created)
        if created is not None and now - created.timestamp() > _SETTLED_S:
            names[place.namespace].append(view.name)
    return names


def refusals(api: Api, namespace: str, names: Sequence[str], *, patient: bool) -> dict[Place, str]:
    """Why Jobs cannot have pods: the newest FailedCreate event of each, by one LIST.

    Raises:
        UnavailableError: The API server cannot be asked.
    """
    chosen = f",involvedObject.name={names[0]}" if len(names) == 1 else ""
    query = {"fieldSelector": f"reason=FailedCreate,involvedObject.kind=Job{chosen}"}
    events = sorted(api.list(path(EVENTS, namespace), query, patient=patient), key=event_time)
    return {Place(namespace, "job", e["involvedObject"]["name"]): e.get("message") or "" for e in events}


def _add_refusals(api: Api, found: Found, *, now: float, patient: bool) -> None:
    for namespace, names in silent(found, now=now).items():
        found.refusals.update(refusals(api, namespace, names, patient=patient))


def event_time(event: Mapping[str, object]) -> str:
    """When an event was last seen, as text that sorts."""
    last = inside(event, "series").get("lastObservedTime")
    made = inside(event, "metadata").get("creationTimestamp")
    return str(last or event.get("lastTimestamp") or event.get("eventTime") or made or "")
