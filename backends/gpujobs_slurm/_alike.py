"""The statuses of jobs of which Slurm's queue says all there is to say; many at once differ in little but their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from gpujobs.states import Status
from gpujobs_slurm._names import is_ours
from gpujobs_slurm._status import from_row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from gpujobs.refs import Ref
    from gpujobs_slurm._queue import Queue
    from gpujobs_slurm._record import Record
    from gpujobs_slurm._rows import Row

_Like: TypeAlias = "tuple[Row, Record | None, Status | None]"


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
        self._likes: dict[tuple[str, int], _Like] = {}

    def status(self, ref: Ref) -> Status | None:
        """The status of one; None where it takes more than its row."""
        row = self._queue.get(ref.id)
        if row is None:
            return None
        parent, _, index = ref.id.partition("_")
        like = self._likes.get((parent, id(row)))
        if like is None:
            like = self._likes[parent, id(row)] = self._like(ref, row, parent, index)
        _, record, first = like
        if first is None:
            return None
        name, labels = record.described(int(index) if index else None) if record else (first.name, first.labels)
        return Status(
            ref,
            first.state,
            name,
            first.reason,
            None,
            None,
            0,
            first.replicas,
            first.nodes,
            first.submitted_at,
            first.started_at,
            None,
            first.native,
            dict(labels),
            first.expected_end,
        )

    def _like(self, ref: Ref, row: Row, parent: str, index: str) -> _Like:
        record = self._records.get(parent)
        deleted = record is None and parent in self._read
        summed = record is not None and (not record.plain or (record.size is not None and not index))
        if deleted or summed or doubtful(row, read=parent in self._read):
            return row, record, None
        return row, record, from_row(ref, row, record, int(index) if index else None)
