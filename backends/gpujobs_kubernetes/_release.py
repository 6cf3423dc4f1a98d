"""What any client that looks at jobs does for them: starts those whose upstream has ended, fails those out of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.errors import NotFoundError, SpecError
from gpujobs.refs import Ref
from gpujobs.states import State
from gpujobs_kubernetes._api import JOBS, path
from gpujobs_kubernetes._cancel import end
from gpujobs_kubernetes._errors import ModifiedError
from gpujobs_kubernetes._names import HOLD, WAITS
from gpujobs_kubernetes._reasons import waiting
from gpujobs_kubernetes._views import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujobs_kubernetes._api import Api, Table
    from gpujobs_kubernetes._names import Place
    from gpujobs_kubernetes._views import JobView, PodView


def upstreams(view: JobView) -> list[tuple[str, Ref]]:
    """(``ok`` or ``any``, ref) of each job that this one waits for; none once it has been released."""
    if view.hold != "after" or view.over or view.ending is not None:
        return []
    found: list[tuple[str, Ref]] = []
    for when, text in view.after:
        try:
            found.append((when, Ref.parse(text)))
        except SpecError:
            continue
    return found


def overdue(view: JobView, pods: Sequence[PodView], *, now: float) -> str | None:
    """The note to end a job with that has waited longer than it may; None where it may go on."""
    created = parse_time(view.created)
    if created is None or view.over or view.ending is not None or view.target is not None:
        return None
    age = now - created.timestamp()
    begun = any(p.started_at for p in pods)
    if view.start_timeout is not None and not begun and age > view.start_timeout:
        why = next((f" {waiting(p).message}" for p in pods if not p.over), "")
        return f"start-timeout It did not start within {view.start_timeout} s.{why}"
    # Kubernetes itself counts a deadline only while a job is not suspended.
    if view.deadline is not None and view.suspended and age > view.deadline:
        return f"deadline Its deadline of {view.deadline} s passed while it waited."
    return None


def verdict(waits: Sequence[tuple[str, Ref]], states: Mapping[Ref, State]) -> str | bool:
    """True: start it. False: not yet. A text: end it with this note."""
    for when, ref in waits:
        state = states.get(ref, State.UNKNOWN)
        if when == "ok" and state.final and state is not State.SUCCEEDED:
            return f"dependency It waited for the success of {ref}, which is {state}."
    return all(states.get(ref, State.UNKNOWN).final for _, ref in waits)


def release(api: Api, place: Place, view: JobView, *, now: float) -> None:
    """Wake a job that waited for others; whoever was faster, or cancelled it, wins."""
    spec: Table = {"suspend": False}
    created = parse_time(view.created)
    if view.deadline is not None and created is not None:
        spec["activeDeadlineSeconds"] = max(1, round(view.deadline - (now - created.timestamp())))
    meta = {"resourceVersion": str(view.version), "annotations": {HOLD: None}, "labels": {WAITS: None}}
    try:
        api.patch(path(JOBS, place.namespace, place.name), {"metadata": meta, "spec": spec})
    except (ModifiedError, NotFoundError):
        return


def fail(api: Api, place: Place, note: str) -> None:
    """End a job for the reason in ``note``; one that is gone needs no end."""
    try:
        end(api, place, note)
    except NotFoundError:
        return
