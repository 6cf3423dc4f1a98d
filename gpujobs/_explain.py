"""Why a workload waits or failed: the backend's numbers where it has some, and the last lines of a failure's log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpujobs._poll import ask
from gpujobs.backend import LogQuery, SupportsExplain
from gpujobs.errors import GpuJobsError, NotFoundError
from gpujobs.results import Explanation
from gpujobs.states import State

if TYPE_CHECKING:
    from gpujobs._session import Session
    from gpujobs.refs import Ref

_LAST_LINES = 5


def explain(session: Session, ref: Ref) -> Explanation:
    """The explanation of one workload.

    Raises:
        NotFoundError: There is no such workload.
    """
    backend = session.of(ref)
    status = ask(backend, [ref])[0]
    if status.state is State.LOST and status.submitted_at is None:
        cause = status.reason
        raise NotFoundError(cause.message if cause else f"There is no {ref}.", next_step=cause.next if cause else "")
    if isinstance(backend, SupportsExplain) and status.state is not State.UNKNOWN:
        found = backend.explain(status)
    else:
        found = Explanation.of(status)
    if status.state is not State.FAILED:
        return found
    return replace(found, details=(*found.details, *_last_lines(session, ref)))


def _last_lines(session: Session, ref: Ref) -> list[str]:
    try:
        lines = [line.text for line in session.of(ref).logs(ref, LogQuery(tail=_LAST_LINES)) if line.text.strip()]
    except GpuJobsError as e:
        return [f"Its log cannot be read: {e.message}"]
    return [f"log: {text}" for text in lines[-_LAST_LINES:]]
