"""What the watches told and direct questions found of the workloads that somebody waits for, put together.

A view counts only if it was asked for while the watches were running; what they told since then is newer or the same.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

from gpujobs_kubernetes._lookup import Found, add_object
from gpujobs_kubernetes._views import JobView, pod_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gpujobs_kubernetes._api import Table
    from gpujobs_kubernetes._names import Place
    from gpujobs_kubernetes._service_views import ServiceView
    from gpujobs_kubernetes._views import PodView


class Kept:
    """The current views, place by place. Not thread-safe: whoever uses it holds the watcher's lock."""

    def __init__(self) -> None:
        self.wanted: dict[Place, float] = {}
        """When somebody last waited for a place."""
        self._views: dict[Place, JobView | ServiceView] = {}
        self._told: dict[Place, JobView | ServiceView] = {}
        self._pods: dict[Place, dict[str, PodView]] = defaultdict(dict)
        self._gone: dict[Place, set[str]] = defaultdict(set)
        """The uids of pods that were deleted: an answer that is on its way may still show them."""
        self._numbers = itertools.count(1)
        self._changes: dict[Place, int] = {}
        self._drops: dict[Place, int] = {}

    def serial(self, place: Place) -> int:
        """A number that grows with every change of a place, and is never used again."""
        return self._changes.get(place, 0)

    def found(self, places: Iterable[Place]) -> Found:
        """What is known of these places."""
        found = Found()
        for place in places:
            view = self._views.get(place)
            if view is None:
                continue
            if isinstance(view, JobView):
                found.jobs[place] = view
            else:
                found.services[place] = view
            found.pods[place] = list(self._pods[place].values())
        return found

    def began(self, live: Callable[[Place], bool]) -> dict[Place, int]:
        """The places of which an answer to a question that is asked now can be kept."""
        return {place: self._drops.get(place, 0) for place in self.wanted if live(place)}

    def learn(self, found: Found, before: dict[Place, int], live: Callable[[Place], bool]) -> None:
        """Keep what was asked for directly, unless everything was dropped since."""
        views: dict[Place, JobView | ServiceView] = {**found.jobs, **found.services}
        for place, view in views.items():
            if before.get(place) != self._drops.get(place, 0) or not live(place):
                continue
            told = self._told.get(place)
            self._views[place] = view if told is None or told.version < view.version else told
            for pod in found.pods_of(place):
                self._add_pod(place, pod)
            self._changes[place] = next(self._numbers)

    def take_object(self, place: Place, item: Table) -> None:
        """A Job or Deployment as a watch shows it."""
        fresh = Found()
        add_object(fresh, item, place)
        view = fresh.jobs.get(place) or fresh.services.get(place)
        if view is None:
            return
        self._changes[place] = next(self._numbers)
        self._told[place] = view
        known = self._views.get(place)
        if known is not None and view.version >= known.version:
            self._views[place] = view

    def take_pod(self, place: Place, item: Table, *, gone: bool) -> None:
        """A pod as a watch shows it."""
        self._changes[place] = next(self._numbers)
        if gone:
            self._gone[place].add(item["metadata"]["uid"])
            self._pods[place].pop(item["metadata"]["name"], None)
        else:
            self._add_pod(place, pod_view(item))

    def _add_pod(self, place: Place, pod: PodView) -> None:
        before = self._pods[place].get(pod.name)
        if pod.uid not in self._gone[place] and (before is None or pod.version >= before.version):
            self._pods[place][pod.name] = pod

    def drop(self, place: Place) -> None:
        """Nothing that is known of it counts any more, nor what is being asked for now."""
        for kept in (self._views, self._told, self._pods, self._gone):
            kept.pop(place, None)
        self._changes[place] = self._drops[place] = next(self._numbers)

    def tidy(self, since: float) -> None:
        """Drop what nobody has waited for since then."""
        for place in [p for p, t in self.wanted.items() if t < since]:
            del self.wanted[place]
            self.drop(place)
            del self._changes[place], self._drops[place]
