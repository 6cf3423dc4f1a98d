"""The answers of ``squeue`` and ``sacct`` in one round, by job id; a row is read only when it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs_slurm._rows import Row, indices, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterable


class Queue:
    """What Slurm said of each job and element.

    The elements of an array that wait, and jobs of a kind that were sent in one second, differ in their ids only; what
    stands behind the id is read once for all of them. So the id of a row is that of the first one.
    """

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}
        """What stands behind each id."""
        self._alike: dict[str, Row | None] = {}
        self._ends: dict[str, Row] = {}
        self._elements: dict[str, list[int]] | None = None

    def add(self, text: str) -> None:
        """What ``squeue`` printed."""
        lines = self.lines
        for line in text.split("\n"):
            job_id, _, rest = line.partition("|")
            if rest and job_id[:1].isdigit():
                lines[job_id] = rest
        self._elements = None

    def add_ends(self, rows: Iterable[Row]) -> None:
        """What ``sacct`` said of jobs that have ended; the queue is fresher, so it wins."""
        for row in rows:
            parent, under, half = row.id.partition("_")
            for index in indices(half):
                job_id = f"{parent}{under}{'' if index is None else index}"
                if job_id not in self.lines:
                    self._ends.setdefault(job_id, row)
        self._elements = None

    def get(self, job_id: str) -> Row | None:
        """The row of a job or an element."""
        rest = self.lines.get(job_id)
        if rest is None:
            return self._ends.get(job_id)
        if rest not in self._alike:
            self._alike[rest] = parse_line(job_id, rest)
        return self._alike[rest]

    def elements(self, parent: str) -> list[int]:
        """Which elements of an array Slurm knows."""
        if self._elements is None:
            self._elements = {}
            for job_id in (*self.lines, *self._ends):
                owner, under, index = job_id.partition("_")
                if under and index.isdigit():
                    self._elements.setdefault(owner, []).append(int(index))
        return sorted(set(self._elements.get(parent, ())))
