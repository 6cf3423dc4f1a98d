"""The client's verbs that submit, or show what would be submitted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast, overload

from gpujobs._submit import one, prepare, resend, submit
from gpujobs.errors import GpuJobsError, NotFoundError, SpecError, SubmitManyError
from gpujobs.job import Job, Service, bind
from gpujobs.refs import Ref
from gpujobs.specs import GpuJob, GpuService

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from typing_extensions import Unpack

    from gpujobs._fields import JobFields
    from gpujobs._journal import OpenSubmission
    from gpujobs._session import Session
    from gpujobs.client import Client

_log = logging.getLogger(__name__)


class SubmitVerbs:
    """What makes workloads."""

    _session: Session

    def _bound(self, ref: Ref, key: str) -> Job | Service:
        return bind(ref, cast("Client", self), key=key)  # the only class that has these verbs

    @overload
    def submit(
        self, workload: GpuJob, *, target: str | None = ..., idempotency_key: str | None = ..., preflight: bool = ...
    ) -> Job: ...
    @overload
    def submit(
        self,
        workload: GpuService,
        *,
        target: str | None = ...,
        idempotency_key: str | None = ...,
        preflight: bool = ...,
    ) -> Service: ...
    @overload
    def submit(
        self,
        workload: Sequence[str],
        *,
        target: str | None = ...,
        idempotency_key: str | None = ...,
        preflight: bool = ...,
        **fields: Unpack[JobFields],
    ) -> Job: ...
    def submit(
        self,
        workload: GpuJob | GpuService | Sequence[str],
        *,
        target: str | None = None,
        idempotency_key: str | None = None,
        preflight: bool = True,
        **fields: Any,
    ) -> Job | Service:
        """Submit one workload, exactly once, and return it bound to this client.

        Args:
            workload: A GpuJob, a GpuService, or the words of a command with the fields of a GpuJob as keywords.
            target: The name of a target; by default the configured one.
            idempotency_key: Submitting again with the same key finds the first one. Made where not given.
            preflight: Refuse at once what the target could never run.
            **fields: Fields of a GpuJob, with a command.

        Raises:
            PreflightError: The target could never run it.
            ConflictError: The key belongs to another workload.
            RejectedError: The system refused it.
            UnavailableError: It is not known whether it was taken; ``.key`` is what to submit again with.
        """
        spec = _as_spec(workload, fields)
        name = self._session.name(target)
        items, results = submit(self._session, [spec], [idempotency_key], target=name, preflight=preflight)
        return self._bound(one(results[0]), items[0].key)

    def submit_many(
        self,
        workloads: Iterable[GpuJob | GpuService | Sequence[str]],
        *,
        target: str | None = None,
        idempotency_keys: Sequence[str] | None = None,
        preflight: bool = True,
    ) -> list[Job | Service]:
        """Submit many at once; on Slurm those that ask for the same resources become one array.

        Raises:
            SubmitManyError: Some were refused; it carries the refs of the others and the reason of each.
            SpecError: The keys are not one per workload.
        """
        specs = [_as_spec(workload, {}) for workload in workloads]
        keys: list[str | None] = list(idempotency_keys) if idempotency_keys is not None else [None] * len(specs)
        if len(keys) != len(specs):
            raise SpecError(f"{len(keys)} keys for {len(specs)} workloads.", next_step="Give one key per workload.")
        name = self._session.name(target)
        items, results = submit(self._session, specs, keys, target=name, preflight=preflight)
        errors = [r if isinstance(r, GpuJobsError) else None for r in results]
        if any(errors):
            raise SubmitManyError([r if isinstance(r, Ref) else None for r in results], errors)
        return [self._bound(one(r), item.key) for r, item in zip(results, items, strict=True)]

    def open_submissions(self) -> list[OpenSubmission]:
        """Submissions of this state directory whose outcome is not known; what cannot be read is logged."""
        entries, broken = self._session.journal.open()
        for unreadable in broken:
            _log.warning("%s", unreadable.error())
        return entries

    def resume(self, key: str | None = None) -> list[Job | Service]:
        """Settle open submissions, or the one with that key: each is found or sent, never doubled.

        Raises:
            NotFoundError: No submission with that key is open.
            SubmitManyError: Some could not be settled, or read; the others are.
        """
        entries, broken = self._session.journal.open()
        if key is not None:
            entries = [entry for entry in entries if entry.key == key]
            if not entries:
                where = "".join(f" Or it is in {unreadable.path}, which cannot be read." for unreadable in broken)
                raise NotFoundError(
                    f"No submission with the key {key!r} is open here.",
                    next_step=f"It was settled, or submitted with another GPUJOBS_STATE_DIR.{where}",
                )
            broken = []
        found = [*resend(self._session, entries), *(unreadable.error() for unreadable in broken)]
        errors = [result if isinstance(result, GpuJobsError) else None for result in found]
        if any(errors):
            raise SubmitManyError([result if isinstance(result, Ref) else None for result in found], errors)
        return [self._bound(one(result), entry.key) for result, entry in zip(found, entries, strict=True)]

    def abandon(self, what: str) -> int:
        """Forget an open submission by its key, whatever became of it; or all that is unreadable in a journal file.

        Raises:
            NotFoundError: There is none.
        """
        gone = self._session.journal.abandon(what)
        if not gone:
            raise NotFoundError(
                f"No open submission has the key {what!r}, and it is no unreadable file of the journal.",
                next_step="`gpujobs submit --resume` names what is open.",
            )
        return gone

    def render(
        self, workload: GpuJob | GpuService, target: str | None = None, *, idempotency_key: str | None = None
    ) -> str:
        """The exact text that ``submit`` would send, secrets as ``<secret NAME>``; nothing is sent."""
        name = self._session.name(target)
        item = prepare(self._session, [workload], [idempotency_key], target=name)[0]
        return self._session.backend(name).render(item)


def _as_spec(workload: GpuJob | GpuService | Sequence[str], fields: Mapping[str, Any]) -> GpuJob | GpuService:
    if not isinstance(workload, (GpuJob, GpuService)):
        return GpuJob(command=workload, **fields)
    if fields:
        raise SpecError(
            f"A {type(workload).__name__} takes no further fields, but {min(fields)!r} was given.",
            next_step="Set it in the workload itself, or with .replace().",
        )
    return workload
