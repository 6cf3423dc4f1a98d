"""The answers of ``squeue`` and ``sacct`` in one round, by job id; a row is read only when it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs_slurm._rows import Row, indices, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterable


class Queue:
    """What Slurm said of each job and element."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self._rows: dict[str, Row] = {}
        self._elements: dict[str, list[int]] | None = None

    def add(self, text: str) -> None:
        """What ``squeue`` printed."""
        for line in text.split("\n"):
            job_id, bar, _ = line.partition("|")
            if bar and job_id[:1].isdigit():
                self._lines[job_id] = line
        self._elements = None

    def add_ends(self, rows: Iterable[Row]) -> None:
        """What ``sacct`` said of jobs that have ended; the queue is fresher, so it wins."""
        for row in rows:
            parent, under, half = row.id.partition("_")
            for index in indices(half):
                job_id = f"{parent}{under}{'' if index is None else index}"
                if job_id not in self._lines:
                    self._rows.setdefault(job_id, row)
        self._elements = None

    def get(self, job_id: str) -> Row | None:
        """The row of a job or an element."""
        row = self._rows.get(job_id)
        if row is None and (line := self._lines.get(job_id)) is not None:
            row = parse_line(line)
            if row is not None:
                self._rows[job_id] = row
        return row

    def elements(self, parent: str) -> list[int]:
        """Which elements of an array Slurm knows."""
        if self._elements is None:
            self._elements = {}
            for job_id in (*self._lines, *self._rows):
                owner, under, index = job_id.partition("_")
                if under and index.isdigit():
                    self._elements.setdefault(owner, []).append(int(index))
        return sorted(set(self._elements.get(parent, ())))
