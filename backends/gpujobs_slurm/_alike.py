"""The statuses of jobs of which Slurm's queue says all there is to say; many at once differ in little but their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from gpujobs.states import Status
from gpujobs_slurm._names import is_ours
from gpujobs_slurm._status import from_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from gpujobs.refs import Ref
    from gpujobs_slurm._queue import Queue
    from gpujobs_slurm._record import Record
    from gpujobs_slurm._rows import Row

_Like: TypeAlias = "tuple[Status, str, Mapping[str, str], Record | None]"
"""The first one, its name and labels, and the record where those of the others differ."""


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
        likes: dict[tuple[str, str], _Like | None] = {}
        lines = self._queue.lines
        found: list[Status | None] = []
        for ref in refs:
            job_id = ref.id
            parent, _, index = job_id.partition("_")
            key = (parent, lines.get(job_id, ""))
            like = likes[key] if key in likes else likes.setdefault(key, self._like(ref, parent, index))
            if like is None:
                found.append(None)
                continue
            first, name, labels, record = like
            if record is not None:
                name, labels = record.described(int(index))
            found.append(
                Status(
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
                    dict(labels) if labels else {},
                    first.expected_end,
                )
            )
        return found

    def _like(self, ref: Ref, parent: str, index: str) -> _Like | None:
        row, record = self._queue.get(ref.id), self._records.get(parent)
        deleted = record is None and parent in self._read
        summed = record is not None and (not record.plain or (record.size is not None and not index))
        if row is None or deleted or summed or doubtful(row, read=parent in self._read):
            return None
        first = from_row(ref, row, record, int(index) if index else None)
        return first, first.name, first.labels, record if record is not None and record.differing else None
