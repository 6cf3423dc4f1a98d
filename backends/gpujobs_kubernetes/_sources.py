"""Which logs a workload has: one per pod, and one more per container that was started again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpujobs_kubernetes._copies import attempt_of, by_index
from gpujobs_kubernetes._loglines import Source, gap
from gpujobs_kubernetes._service_states import in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.backend import LogQuery
    from gpujobs.results import LogLine
    from gpujobs_kubernetes._names import Place
    from gpujobs_kubernetes._views import JobView, PodView


@dataclass(slots=True)
class Numbers:
    """The numbers of a service's copies, kept while one follows: a pod's successor takes the place of the one gone."""

    taken: dict[str, int] = field(default_factory=dict[str, int])

    def assign(self, pods: Sequence[PodView]) -> dict[str, int]:
        """The number of each pod, by its uid."""
        here = [p.uid for p in in_order(pods)]
        alive = {p.uid for p in pods if not p.over}
        for uid in here:
            if uid not in self.taken:
                used = {n for u, n in self.taken.items() if u in alive}
                self.taken[uid] = next(n for n in range(len(used) + 1) if n not in used)
        return {p.uid: self.taken[p.uid] for p in pods if p.uid in self.taken}


def job_sources(place: Place, pods: Sequence[PodView], query: LogQuery) -> list[tuple[Source, PodView]]:
    """The logs of a job's pods: copy by copy, oldest attempt first."""
    found: list[tuple[Source, PodView]] = []
    for index, owned in sorted(by_index(pods).items()):
        for i, pod in enumerate(owned):
            attempt = attempt_of(owned[: i + 1])
            if place.index in {None, index} and _wanted(query, index, attempt):
                found.append((Source(place.namespace, pod.name, pod.uid, index, attempt), pod))
    return found


def service_sources(
    place: Place, pods: Sequence[PodView], query: LogQuery, numbers: Numbers
) -> list[tuple[Source, PodView]]:
    """The logs of a service's pods: of each the container before, where it was started again, and the one now."""
    assigned = numbers.assign(pods)
    found: list[tuple[Source, PodView]] = []
    for pod in sorted(pods, key=lambda p: (assigned.get(p.uid, 0), p.created)):
        replica = assigned.get(pod.uid, 0)
        if pod.restarts and _wanted(query, replica, pod.restarts - 1):
            found.append((Source(place.namespace, pod.name, pod.uid, replica, pod.restarts - 1, previous=True), pod))
        if _wanted(query, replica, pod.restarts):
            found.append((Source(place.namespace, pod.name, pod.uid, replica, pod.restarts), pod))
    return found


def begun(pod: PodView) -> bool:
    """Whether there can be a log: the container runs, or has run."""
    return pod.running_since is not None or pod.exit_code is not None or pod.restarts > 0


def missing(view: JobView, place: Place, pods: Sequence[PodView], query: LogQuery) -> list[LogLine]:
    """A marked gap for each attempt whose pod is gone."""
    owned = by_index(pods)
    lines: list[LogLine] = []
    for index, of_index in sorted(owned.items()):
        there = {attempt_of(of_index[: i + 1]) for i in range(len(of_index))}
        for attempt in range(max(there)):
            if attempt not in there and place.index in {None, index} and _wanted(query, index, attempt):
                source = Source(place.namespace, "", "", index, attempt)
                lines.append(gap(source, f"Attempt {attempt} left no log: its pod is gone."))
    if not owned and view.over and view.started is not None:
        lines.append(gap(Source(place.namespace, "", "", 0, 0), "The log is gone: Kubernetes removed the pods."))
    return lines


def _wanted(query: LogQuery, replica: int, attempt: int) -> bool:
    return query.replica in {None, replica} and query.attempt in {None, attempt}
