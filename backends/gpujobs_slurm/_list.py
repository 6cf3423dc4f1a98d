"""The jobs of gpujobs on a cluster: those in the queue, and those whose records are kept."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from gpujobs.refs import Ref
from gpujobs_slurm._record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs.backend import JobQuery, Target
    from gpujobs.states import Status
    from gpujobs_slurm._looking import Looker
    from gpujobs_slurm._transport import Transport

_EPOCH = datetime.fromtimestamp(0, tz=timezone.utc)


class Lister:
    """Lists one target."""

    def __init__(self, transport: Transport, root: Callable[[], str], looker: Looker, target: Target) -> None:
        self._transport = transport
        self._root = root
        self._looker = looker
        self._target = target.name

    def jobs(self, query: JobQuery) -> list[Status]:
        """Newest first."""
        records = [Record(data) for data in self._transport.call("listing", self._root())]
        refs = [ref for record in records for ref in self._refs(record, query)]
        found = [s for s in self._looker.statuses(refs) if query.matches(s)] if refs else []
        found.sort(key=lambda s: (s.submitted_at or _EPOCH, _number(s.ref.id)), reverse=True)
        return found[: query.limit]

    def _refs(self, record: Record, query: JobQuery) -> list[Ref]:
        """What a record stands for, without what needs no question to be left out."""
        parts: list[int | None] = list(range(record.size or 0)) if record.bulk else [None]
        refs: list[Ref] = []
        for index in parts:
            ids = record.ids(index)
            name, labels = record.described(index)
            if (
                ids
                and not record.deleted(index)
                and query.name in {None, name}
                and all(labels.get(k) == v for k, v in query.labels.items())
                and (query.finished or not record.settled(index))
            ):
                refs.append(Ref("slurm", self._target, ids[0]))
        return refs


def _number(job_id: str) -> tuple[int, int]:
    parent, _, index = job_id.partition("_")
    return int(parent), int(index or 0)
