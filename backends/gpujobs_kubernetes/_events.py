"""Events of a workload and of its pods, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs.results import Event
from gpujobs_kubernetes._api import EVENTS, path
from gpujobs_kubernetes._lookup import event_time
from gpujobs_kubernetes._views import parse_time

if TYPE_CHECKING:
    from gpujobs_kubernetes._api import Api, Table
    from gpujobs_kubernetes._names import Place

_KINDS = {"job": ("Job", "Pod"), "service": ("Deployment", "ReplicaSet", "Pod")}


def events_of(api: Api, place: Place) -> list[Table]:
    """The event objects of a workload, its ReplicaSets and pods, oldest first."""
    found: list[Table] = []
    for kind in _KINDS[place.kind]:
        for event in api.list(path(EVENTS, place.namespace), {"fieldSelector": f"involvedObject.kind={kind}"}):
            name = str(event["involvedObject"].get("name", ""))
            # What a workload makes is named after it.
            if name == place.name or (kind not in {"Job", "Deployment"} and name.startswith(f"{place.name}-")):
                found.append(event)
    return sorted(found, key=event_time)


def as_event(event: Table) -> Event:
    """An event as one of ours."""
    series: dict[str, Any] = event.get("series") or {}
    involved = event["involvedObject"]
    return Event(
        time=parse_time(event_time(event) or None),
        reason=event.get("reason") or "",
        message=event.get("message") or "",
        count=series.get("count") or event.get("count") or 1,
        warning=event.get("type") == "Warning",
        source=f"{involved.get('kind', '')}/{involved.get('name', '')}",
    )
