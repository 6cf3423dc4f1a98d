"""The backend's verbs that read: logs, events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.errors import NotFoundError, UnavailableError
from gpujobs_kubernetes import _sources
from gpujobs_kubernetes._follow import Follower
from gpujobs_kubernetes._logs import read_now
from gpujobs_kubernetes._looking import Looking
from gpujobs_kubernetes._lookup import Found, find

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujobs.backend import LogQuery
    from gpujobs.refs import Ref
    from gpujobs.results import LogLine
    from gpujobs_kubernetes._loglines import Source
    from gpujobs_kubernetes._names import Place
    from gpujobs_kubernetes._views import PodView

_LOOK_S = 1.0


class Reading(Looking):
    """Logs of all pods of a workload."""

    def logs(self, ref: Ref, query: LogQuery, /) -> Iterator[LogLine]:
        """The lines of all its pods, attempts oldest first; with ``follow`` as they come, until it has ended.

        Raises:
            NotFoundError: There is no such workload.
        """
        place = self._place(ref)
        found = self._existing(ref, place)
        numbers = _sources.Numbers()
        view = found.jobs.get(place.whole)
        if view is not None:
            yield from _sources.missing(view, place, found.pods_of(place.whole), query)
        if not query.follow:
            sources = _list(found, place, query, numbers)
            yield from read_now(self._api, sources, tail=query.tail, since=query.since)
            return
        glass = _Glass(self, place, found)
        yield from Follower(
            self._api, self._clock, query, lambda fresh: _list(glass.look(fresh=fresh), place, query, numbers)
        ).lines()

    def look_again(self, place: Place, *, patient: bool) -> Found:
        """One direct question about one workload; what cannot be asked is not found."""
        try:
            return find(self._api, [place.whole], now=self._clock.time(), patient=patient)
        except UnavailableError:
            return Found()

    def watched(self, place: Place) -> Found:
        """What the watches know of it."""
        return self._watcher.known([place])

    def now(self) -> float:
        """Seconds that never go back."""
        return self._clock.monotonic()

    def _existing(self, ref: Ref, place: Place) -> Found:
        found = find(self._api, [place.whole], now=self._clock.time(), patient=True)
        view = found.jobs.get(place.whole)
        short = place.index is not None and view is not None and place.index >= view.copies
        if short or not (found.jobs or found.services):
            raise NotFoundError(f"There is no {ref}.", next_step="`gpujobs ps --all` shows what there is.")
        return found


class _Glass:
    """What a follower sees of its workload: from the watches, else asked for once a second."""

    def __init__(self, backend: Reading, place: Place, found: Found) -> None:
        self._backend = backend
        self._place = place
        self._found = found
        self._asked = float("-inf")

    def look(self, *, fresh: bool) -> Found:
        """The newest there is; ``fresh`` asks now."""
        backend, place = self._backend, self._place.whole
        known = Found() if fresh else backend.watched(place)
        now = backend.now()
        if not (known.jobs or known.services) and (fresh or now - self._asked > _LOOK_S):
            known = backend.look_again(place, patient=fresh)
            self._asked = now
        if known.jobs or known.services:
            self._found = known
        return self._found


def _list(found: Found, place: Place, query: LogQuery, numbers: _sources.Numbers) -> list[tuple[Source, PodView]]:
    pods = found.pods_of(place.whole)
    if place.kind == "service":
        return _sources.service_sources(place, pods, query, numbers)
    return _sources.job_sources(place, pods, query)
