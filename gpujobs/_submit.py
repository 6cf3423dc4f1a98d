"""The way of a submission: defaults, preflight, journal, send with retries, settle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs._identity import check_key, make_key, submission, with_defaults
from gpujobs._retry import retrying
from gpujobs.backend import SupportsPreflight
from gpujobs.errors import ConflictError, GpuJobsError, RejectedError, SpecError, UnavailableError
from gpujobs.refs import Ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs._session import Session
    from gpujobs.backend import Backend, Submission, Submitted
    from gpujobs.specs import GpuJob, GpuService

_ANSWERS = (Ref, ConflictError, RejectedError)
"""What settles a key that was open before: the system's own word. Any other refusal says nothing of the first try."""


def prepare(
    session: Session, specs: Sequence[GpuJob | GpuService], keys: Sequence[str | None], *, target: str
) -> list[Submission]:
    """What the backend is to see: target defaults merged, each with a key.

    A service's key is its name, so it needs one.

    Raises:
        SpecError: A key is malformed, or given twice, or a service has no name.
    """
    session.backend(target)  # a target that is wrong is said before a workload that is
    defaults = session.defaults(target)
    items: list[Submission] = []
    for spec, key in zip(specs, keys, strict=True):
        merged = with_defaults(spec, defaults, target=target)
        if merged.kind == "service":
            if not merged.name:
                raise SpecError("A GpuService needs a name: it is its key.", next_step="Give name='...' (--name).")
            if key is not None and key != merged.name:
                raise SpecError(
                    f"A GpuService's key is its name, {merged.name!r}; the key {key!r} is another.",
                    next_step="Leave the key out.",
                )
            key = merged.name  # noqa: PLW2901  # the rule just stated
        items.append(submission(merged, check_key(key) if key is not None else make_key()))
    seen: set[str] = set()
    for item in items:
        if item.key in seen:
            raise SpecError(f"The key {item.key!r} is given twice in one call.", next_step="Give each its own.")
        seen.add(item.key)
    return items


def send(session: Session, items: Sequence[Submission], *, target: str, preflight: bool) -> list[Submitted]:
    """Submit all, exactly once each; one ref or error per item. An open outcome names its key."""
    backend = session.backend(target)
    results: list[Submitted | None] = [None] * len(items)
    if preflight and isinstance(backend, SupportsPreflight):
        for i, error in enumerate(backend.preflight([item.spec for item in items])):
            results[i] = error
    taken = [i for i, result in enumerate(results) if result is None]
    new = _begin(session, [items[i] for i in taken], target=target)
    for i, result in zip(taken, _until_known(session, backend, [items[i] for i in taken]), strict=True):
        results[i] = result
        if isinstance(result, UnavailableError) or not (items[i].key in new or isinstance(result, _ANSWERS)):
            result.key = items[i].key
            result.next_step = _open_outcome(result.next_step, items[i].key)
        else:
            session.journal.settle(items[i].key, target=target)
    return [result for result in results if result is not None]


def _begin(session: Session, items: Sequence[Submission], *, target: str) -> list[str]:
    """Journal all of them, or none: nothing has been sent where one cannot be written. The keys that were not open."""
    new: list[str] = []
    try:
        for item in items:
            new += [item.key] * session.journal.begin(item, target=target, now=session.clock.time())
    except GpuJobsError:
        for key in new:
            session.journal.settle(key, target=target)
        raise
    return new


def _open_outcome(next_step: str, key: str) -> str:
    step = (
        f"It is not known whether it was taken: run again with the key {key} "
        f"(`gpujobs submit --resume {key}`); that never makes a second."
    )
    return f"{next_step} {step}".strip()


def _until_known(session: Session, backend: Backend, items: Sequence[Submission]) -> list[Submitted]:
    results: dict[str, Submitted] = {}

    def once() -> None:
        unsettled = [i for i in items if isinstance(results.get(i.key, UnavailableError("")), UnavailableError)]
        for item, result in zip(unsettled, backend.submit(unsettled), strict=True):
            results[item.key] = result
        for result in results.values():
            if isinstance(result, UnavailableError):
                raise result

    if items:
        try:
            retrying(once, session.clock)
        except GpuJobsError as e:  # raised for the call as a whole: it holds for every item without an outcome
            for item in items:
                results.setdefault(item.key, e)
    return [results[item.key] for item in items]


def one(result: Submitted) -> Ref:
    """The ref of a single submission.

    Raises:
        GpuJobsError: Whatever refused it.
    """
    if isinstance(result, GpuJobsError):
        raise result
    return result
