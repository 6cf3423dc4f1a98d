"""The statuses of jobs of which Slurm's queue says all there is to say; many at once differ in little but their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from gpujobs.states import make_statuses
from gpujobs_slurm._names import is_ours
from gpujobs_slurm._status import from_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from gpujobs.refs import Ref
    from gpujobs.states import Status
    from gpujobs_slurm._queue import Queue
    from gpujobs_slurm._record import Record
    from gpujobs_slurm._rows import Row

_Like: TypeAlias = "tuple[Status, tuple[Any, ...], Record | None]"
"""The first one, its values from ``reason`` to ``native``, and the record where names and labels of others differ."""


def doubtful(row: Row | None, *, read: bool) -> bool:
    """Whether the queue alone does not say how a job stands; ``read`` tells whether its record was looked for."""
    if row is None or row.restarts > 0 or row.ended_state:
        return True
    # A name that did not fit into the queue is in the record.
    return not read and '"name"' not in row.comment and is_ours(row.name)


class Alike:
    """Makes them; what is the same for many is worked out once."""

    def __init__(self, queue: Queue, records: Mapping[str, Record], read: AbstractSet[str]) -> None:
        self._queue = queue
        self._records = records
        self._read = read

    def statuses(self, refs: Sequence[Ref]) -> list[Status | None]:
        """One per ref, in order; None where it takes more than its row."""
        return make_statuses(self._rows(refs))

    def _rows(self, refs: Sequence[Ref]) -> Iterator[tuple[Any, ...] | None]:
        """The values of each status."""
        likes: dict[tuple[str, str], _Like | None] = {}
        line_of = self._queue.lines.get
        for ref in refs:
            job_id = ref.id
            parent, _, index = job_id.partition("_")
            key = (parent, line_of(job_id, ""))
            like = likes[key] if key in likes else likes.setdefault(key, self._like(ref, parent, index))
            if like is None:
                yield None
                continue
            first, middle, record = like
            name, labels = record.described(int(index)) if record else (first.name, first.labels)
            yield (ref, first.state, name, *middle, {**labels}, first.expected_end)

    def _like(self, ref: Ref, parent: str, index: str) -> _Like | None:
        row, record = self._queue.get(ref.id), self._records.get(parent)
        deleted = record is None and parent in self._read
        summed = record is not None and (not record.plain or (record.size is not None and not index))
        if row is None or deleted or summed or doubtful(row, read=parent in self._read):
            return None
        first = from_row(ref, row, record, int(index) if index else None)
        middle = (first.reason, None, None, 0, first.replicas, first.nodes)
        times = (first.submitted_at, first.started_at, None)
        return first, (*middle, *times, first.native), record if record is not None and record.differing else None
