"""The way of a submission: defaults, preflight, journal, send with retries, settle."""

from __future__ import annotations

from contextlib import nullcontext
from copy import copy
from typing import TYPE_CHECKING

from gpujobs._identity import check_key, make_keys, submission, submissions, with_defaults
from gpujobs._retry import retrying
from gpujobs.backend import SupportsHeadStart, SupportsPreflight
from gpujobs.errors import ConflictError, GpuJobsError, RejectedError, SpecError, UnavailableError
from gpujobs.refs import Ref

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from gpujobs._identity import Prepared
    from gpujobs._journal import OpenSubmission
    from gpujobs._session import Session
    from gpujobs.backend import Backend, Submission, Submitted
    from gpujobs.specs import GpuJob, GpuService

_ANSWERS = (Ref, ConflictError, RejectedError)
"""What settles a key that was open before: the system's own word. Any other refusal says nothing of the first try."""


def submit(
    session: Session,
    specs: Sequence[GpuJob | GpuService],
    keys: Sequence[str | None],
    *,
    target: str,
    preflight: bool,
) -> tuple[list[Prepared], list[Submitted]]:
    """Submit all, exactly once each: what was submitted, and one ref or error per item.

    Raises:
        SpecError: As of ``prepare``.
    """
    with _head_start(session.backend(target), keys):
        items = prepare(session, specs, keys, target=target)
        return items, send(session, items, target=target, preflight=preflight)


def _head_start(backend: Backend, keys: Sequence[str | None]) -> AbstractContextManager[object]:
    """Where keys are given, what they stand for may have been submitted before, and nothing is to be sent."""
    new = bool(keys) and all(key is None for key in keys)
    return backend.head_start() if new and isinstance(backend, SupportsHeadStart) else nullcontext()


def prepare(
    session: Session, specs: Sequence[GpuJob | GpuService], keys: Sequence[str | None], *, target: str
) -> list[Prepared]:
    """What the backend is to see: target defaults merged, each with a key.

    A service's key is its name, so it needs one.

    Raises:
        SpecError: A key is malformed, or given twice, or a service has no name.
    """
    session.backend(target)  # a target that is wrong is said before a workload that is
    defaults = session.defaults(target)
    keyed: list[tuple[GpuJob | GpuService, str, bool]] = []
    for spec, key, own in zip(specs, keys, make_keys(len(specs)), strict=True):
        merged = with_defaults(spec, defaults, target=target)
        given = _service_key(merged, key) if merged.kind == "service" else key
        keyed.append((merged, own, True) if given is None else (merged, check_key(given), False))
    items = submissions(keyed)
    if len({item.key for item in items}) < len(items):
        _refuse_twins(items)
    return items


def _service_key(spec: GpuService, key: str | None) -> str:
    if not spec.name:
        raise SpecError("A GpuService needs a name: it is its key.", next_step="Give name='...' (--name).")
    if key is not None and key != spec.name:
        raise SpecError(
            f"A GpuService's key is its name, {spec.name!r}; the key {key!r} is another.",
            next_step="Leave the key out.",
        )
    return spec.name


def _refuse_twins(items: Sequence[Submission]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.key in seen:
            raise SpecError(f"The key {item.key!r} is given twice in one call.", next_step="Give each its own.")
        seen.add(item.key)


def send(session: Session, items: Sequence[Prepared], *, target: str, preflight: bool) -> list[Submitted]:
    """Submit all, exactly once each; one ref or error per item. An open outcome names its key."""
    backend = session.backend(target)
    results: list[Submitted | None] = [None] * len(items)
    if preflight and isinstance(backend, SupportsPreflight):
        for i, error in enumerate(backend.preflight([item.spec for item in items])):
            results[i] = error
    rest = [i for i, result in enumerate(results) if result is None]
    if not rest:
        return [result for result in results if result is not None]
    # All of them are journalled or none: nothing has been sent where they cannot be written.
    call = session.journal.begin([items[i] for i in rest], target=target, now=session.clock.time())
    unknown: set[str] = set()
    for i, result in zip(rest, _until_known(session, backend, [items[i] for i in rest]), strict=True):
        results[i], key = result, items[i].key
        # What an earlier call left open, only the system's own word settles.
        if isinstance(result, UnavailableError) or (key in call.earlier and not isinstance(result, _ANSWERS)):
            result.key = key
            result.next_step = _open_outcome(result.next_step, key)
            unknown.add(key)
    session.journal.settle(call, unknown)
    return [result for result in results if result is not None]


def resend(session: Session, entries: Sequence[OpenSubmission]) -> list[Submitted]:
    """Send what was journalled as it is: the target's defaults are in it, and preflight has let it pass."""
    results: list[Submitted | None] = [None] * len(entries)
    by_target: dict[str, list[tuple[int, Prepared]]] = {}
    for i, entry in enumerate(entries):
        try:
            by_target.setdefault(session.name(entry.target), []).append((i, _as_it_was(entry)))
        except GpuJobsError as e:
            results[i] = e
    for target, group in by_target.items():
        try:
            sent = send(session, [item for _, item in group], target=target, preflight=False)
        except GpuJobsError as e:
            sent = [copy(e) for _ in group]
        for (i, _), result in zip(group, sent, strict=True):
            results[i] = result
    return [result for result in results if result is not None]


def _as_it_was(entry: OpenSubmission) -> Prepared:
    from gpujobs.formats import from_data  # noqa: PLC0415  # only resume reads workloads back

    item = submission(from_data(entry.spec, source=f"the journal entry of key {entry.key}"), entry.key)
    if item.spec_hash != entry.spec_hash:
        raise ConflictError(
            f"The journal entry of key {entry.key} no longer means what was submitted.",
            next_step="Look for its job with `gpujobs ps --all`; submit again with a new key if there is none.",
        )
    return item


def _open_outcome(next_step: str, key: str) -> str:
    step = (
        f"It is not known whether it was taken: run again with the key {key} "
        f"(`gpujobs submit --resume {key}`); that never makes a second."
    )
    return f"{next_step} {step}".strip()


def _until_known(session: Session, backend: Backend, items: Sequence[Submission]) -> list[Submitted]:
    results: dict[str, Submitted] = {}

    def once() -> None:
        unsettled = [i for i in items if i.key not in results or isinstance(results[i.key], UnavailableError)]
        for item, result in zip(unsettled, backend.submit(unsettled), strict=True):
            results[item.key] = result
        for result in results.values():
            if isinstance(result, UnavailableError):
                raise result

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
