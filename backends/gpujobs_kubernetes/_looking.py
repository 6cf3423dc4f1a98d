"""The backend's verbs that look: statuses, jobs, wait_change, replicas."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from gpujobs.errors import AuthError, GpuJobsError, NotFoundError
from gpujobs.reasons import Cause, Reason
from gpujobs.results import ReplicaStatus
from gpujobs.states import State, Status
from gpujobs_kubernetes import _release
from gpujobs_kubernetes._base import BackendBase
from gpujobs_kubernetes._lookup import Found, find, find_all, refusals, silent
from gpujobs_kubernetes._names import NAME_LABEL, Place, legal_labels, place_of, ref_to, slug
from gpujobs_kubernetes._service_states import service_copies, service_status
from gpujobs_kubernetes._states import copies, element_status, job_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gpujobs.backend import JobQuery
    from gpujobs.refs import Ref

_log = logging.getLogger(__name__)
_MOST_KEPT = 50_000
_NO_PODS_S = 5.0
"""Why Jobs have no pods is asked this often, by one question per namespace."""


class Looking(BackendBase):
    """What asks and changes nothing, except that jobs whose turn has come are released on the way."""

    def _start_looking(self) -> None:
        self._memo: dict[Ref, tuple[Place, int, Status]] = {}
        self._upstreams: dict[Place, set[Place]] = {}
        self._no_pods: dict[str, tuple[float, dict[Place, str]]] = {}

    def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
        """The status of each, in order: from the watches where they are current, else by one LIST per kind."""
        return self._statuses(refs, seen=set())

    def _statuses(self, refs: Sequence[Ref], *, seen: set[Place]) -> list[Status]:
        fresh = {ref: status for ref in refs if (status := self._remembered(ref)) is not None}
        if len(fresh) < len(refs):
            fresh |= self._looked_up([ref for ref in refs if ref not in fresh], seen)
        return [fresh[ref] for ref in refs]

    def _looked_up(self, refs: Sequence[Ref], seen: set[Place]) -> dict[Ref, Status]:
        now = self._clock.time()
        places = {ref: place for ref in refs if (place := place_of(ref)) is not None}
        whole = {place.whole for place in places.values()}
        # Before the views: what changes in between is looked at again in the next round.
        serials = {place: self._watcher.serial(place) for place in whole}
        known = self._known(whole, now)
        asked = self._ask(whole - set(known.jobs) - set(known.services), now)
        self._attend(known, now, seen)
        self._attend(asked, now, seen)
        statuses = {ref: _lost(ref) for ref in refs if ref not in places}
        for ref, place in places.items():
            watched = place.whole in known.jobs or place.whole in known.services
            statuses[ref] = _status(ref, place, known if watched else asked, now)
            if watched and _steady(place.whole, known):
                self._remember(ref, place.whole, serials[place.whole], statuses[ref])
        return statuses

    def _remembered(self, ref: Ref) -> Status | None:
        """The status that was made last, as long as no watch has told anything about its workload since."""
        place, serial, status = self._memo.get(ref, (None, 0, None))
        return status if place is not None and self._watcher.serial(place) == serial else None

    def _remember(self, ref: Ref, place: Place, serial: int, status: Status) -> None:
        if len(self._memo) > _MOST_KEPT:
            self._memo.clear()
        self._memo[ref] = (place, serial, status)

    def wait_change(self, refs: Sequence[Ref], timeout: float, /) -> bool:
        """Block until something about one of them, or about what it waits for, may have changed."""
        places = {place for ref in refs if (place := self._whole(ref)) is not None}
        for place in list(places):
            places |= self._upstreams.get(place, set())
        return self._watcher.wait(places, timeout)

    def _whole(self, ref: Ref) -> Place | None:
        remembered = self._memo.get(ref)
        if remembered is not None:
            return remembered[0]
        place = place_of(ref)
        return place.whole if place is not None else None

    def jobs(self, query: JobQuery, /) -> list[Status]:
        """The workloads of gpujobs in the target's namespace, newest first."""
        now = self._clock.time()
        wanted = [f"{k}={v}" for k, v in legal_labels(query.labels).items()]
        if query.name is not None and slug(query.name):
            wanted.append(f"{NAME_LABEL}={slug(query.name)}")
        found = find_all(self._api, self._api.namespace, ",".join(wanted), now=now)
        self._attend(found, now, set())
        places = [*found.jobs, *found.services]
        every = [_status(self._ref(p), p, found, now) for p in places]
        kept = [s for s in every if s.state is not State.LOST and query.matches(s)]
        kept.sort(key=lambda s: (s.submitted_at.timestamp() if s.submitted_at else 0.0, str(s.ref)), reverse=True)
        return kept[: query.limit]

    def replicas(self, ref: Ref, /) -> list[ReplicaStatus]:
        """Node, state and exit code of each copy.

        Raises:
            NotFoundError: There is no such workload.
        """
        place = self._place(ref)
        now = self._clock.time()
        found = find(self._api, [place.whole], now=now, patient=True)
        pods = found.pods_of(place.whole)
        if place.whole in found.services:
            return service_copies(pods)
        view = found.jobs.get(place.whole)
        if view is None:
            raise NotFoundError(f"There is no {ref}.", next_step="`gpujobs ps --all` shows what there is.")
        return [
            ReplicaStatus(
                replica=c.index,
                state=c.state,
                node=c.pod.node if c.pod else "",
                attempt=c.attempt,
                exit_code=c.exit_code,
                signal=c.signal,
                ready=bool(c.pod and c.pod.ready),
                reason=c.cause,
                name=c.pod.name if c.pod else "",
            )
            for c in copies(view, pods, now=now)
            if place.index in {None, c.index}
        ]

    def _ref(self, place: Place) -> Ref:
        return ref_to("kubernetes", self._target.name, place)

    def _known(self, places: Iterable[Place], now: float) -> Found:
        """What the watches know; they are not told why a Job has no pods, so that is asked for now and then."""
        found = self._watcher.known(places)
        for namespace, names in silent(found, now=now).items():
            asked, told = self._no_pods.get(namespace, (float("-inf"), {}))
            if self._clock.monotonic() - asked > _NO_PODS_S:
                told = refusals(self._api, namespace, names, patient=False)
                self._no_pods[namespace] = (self._clock.monotonic(), told)
            found.refusals.update(told)
        return found

    def _ask(self, places: set[Place], now: float) -> Found:
        if not places:
            return Found()
        before = self._watcher.began()
        found = find(self._api, places, now=now, patient=False)
        self._watcher.learn(found, before)
        return found

    def _attend(self, found: Found, now: float, seen: set[Place]) -> None:
        """Release what waited for others that have ended; end what has waited too long."""
        waiting: dict[Place, list[tuple[str, Ref]]] = {}
        for place, view in found.jobs.items():
            note = _release.overdue(view, found.pods_of(place), now=now)
            if note is not None:
                self._change(place, note)
            elif place not in seen and (upstreams := _release.upstreams(view)):
                waiting[place] = upstreams
        if not waiting:
            return
        seen |= set(waiting)
        refs = list(dict.fromkeys(ref for pairs in waiting.values() for _, ref in pairs))
        states = self._states(refs, seen)
        for place, pairs in waiting.items():
            self._upstreams[place] = {p.whole for _, ref in pairs if (p := place_of(ref)) is not None}
            decided = _release.verdict(pairs, states)
            if decided is True:
                start = partial(_release.release, self._api, place, found.jobs[place], now=now)
                self._try(place, start, "started")
            elif decided is not False:
                self._change(place, decided)

    def _states(self, refs: Sequence[Ref], seen: set[Place]) -> dict[Ref, State]:
        """Where each stands; those in namespaces that are not ours to look at are left out."""
        try:
            return {status.ref: status.state for status in self._statuses(refs, seen=seen)}
        except AuthError:
            if len(refs) == 1:
                return {}
            return {ref: state for one in refs for ref, state in self._states([one], seen).items()}

    def _change(self, place: Place, note: str) -> None:
        self._try(place, partial(_release.fail, self._api, place, note), f"ended: {note.partition(' ')[2]}")

    def _try(self, place: Place, change: Callable[[], None], what: str) -> None:
        """Looking at a job must not fail because changing it is not allowed; the next look tries again."""
        try:
            change()
        except GpuJobsError as e:
            _log.info("%s/%s cannot be %s (%s)", place.namespace, place.name, what, e)
            return
        _log.info("%s/%s is %s", place.namespace, place.name, what)
        self._watcher.forget(place)


def _status(ref: Ref, place: Place, found: Found, now: float) -> Status:
    pods = found.pods_of(place.whole)
    service = found.services.get(place)
    if service is not None:
        return service_status(ref, service, pods, now=now)
    view = found.jobs.get(place.whole)
    if view is None or view.deleting or (place.index is not None and place.index >= view.copies):
        return _lost(ref)
    if place.index is not None:
        return element_status(ref, place.index, view, pods, now=now)
    return job_status(ref, view, pods, now=now, refusal=found.refusals.get(place, ""))


def _steady(place: Place, found: Found) -> bool:
    """Whether its status changes with news only: not with time alone, as where it has no pods or ends."""
    view = found.jobs.get(place)
    pods = found.pods_of(place)
    timed = view is not None and (view.suspended or view.start_timeout is not None)
    return bool(pods) and not timed and not any(p.deleting for p in pods)


def _lost(ref: Ref) -> Status:
    cause = Cause(
        Reason.LOST,
        f"Kubernetes has no {ref.id}.",
        "It was deleted, or never existed; `gpujobs ps --all` shows the rest.",
    )
    return Status(ref, State.LOST, reason=cause)
