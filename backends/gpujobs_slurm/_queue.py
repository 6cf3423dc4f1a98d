"""The answers of ``squeue`` and ``sacct`` in one round, by job id; a row is read only when it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs_slurm._rows import EXACT, Row, elements, indices, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gpujobs_slurm._transport import Transport


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

    def add(self, text: str) -> bool:
        """What ``squeue`` printed; whether it named every element: it may cut the list of those that wait."""
        lines, whole = self.lines, True
        for line in text.split("\n"):
            job_id, _, rest = line.partition("|")
            if not rest or not job_id[:1].isdigit():
                continue
            if "[" not in job_id:
                lines[job_id] = rest
            elif not job_id.endswith("]"):
                whole = False
            elif parse_line(job_id, rest) is not None:
                parent, _, half = job_id.partition("_")
                lines.update(dict.fromkeys([f"{parent}_{index}" for index in elements(half)], rest))
        self._elements = None
        return whole

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


def look(transport: Transport, words: Sequence[str], timeout: float, queue: Queue) -> dict[str, Any]:
    """Ask ``squeue``, and let the queue take in what it says; how it ended."""
    done: dict[str, Any] = transport.call("run", words, b"", timeout, EXACT)
    if done["rc"] == 0 and not queue.add(done["out"].decode(errors="replace")):
        # Something before it kept our wish for full lists from it. One row per element is long, but needs no list.
        done = transport.call("run", [*words, "-r"], b"", timeout, EXACT)
        if done["rc"] == 0:
            queue.add(done["out"].decode(errors="replace"))
    return done
