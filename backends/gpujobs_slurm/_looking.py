"""The statuses of many jobs in one ``squeue``, at most one ``sacct``, and the records of those that have ended."""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gpujobs.errors import GpuJobsError, NotFoundError, UnavailableError
from gpujobs.reasons import Cause, Reason
from gpujobs.states import State
from gpujobs_slurm._alike import Alike, doubtful
from gpujobs_slurm._ends import End, end_by_traces, told
from gpujobs_slurm._errors import command_error, text_of
from gpujobs_slurm._names import is_ours
from gpujobs_slurm._queue import Queue, look
from gpujobs_slurm._record import Record, Settled, split_id
from gpujobs_slurm._rows import EXACT, parse_sacct, sacct, squeue
from gpujobs_slurm._status import array_of, copies, from_row, from_settled, lost, settle, unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gpujobs.backend import Clock
    from gpujobs.refs import Ref
    from gpujobs.results import ReplicaStatus
    from gpujobs.states import Status
    from gpujobs_slurm._facts import Facts
    from gpujobs_slurm._transport import Transport

_FEW = 100
"""So many jobs have their records read first: if all have ended, nobody is asked."""
_INVALID = "invalid job id"


@dataclass(slots=True)
class _Round:
    """What is known in one round."""

    records: dict[str, Record] = field(default_factory=dict[str, Record])
    """By job id without index."""
    read: set[str] = field(default_factory=set[str])
    queue: Queue = field(default_factory=Queue)
    asked: set[str] = field(default_factory=set[str])
    failure: Cause | None = None
    """Why ``squeue`` could not be asked."""
    accounting_failure: Cause | None = None
    news: dict[str, dict[str, Settled]] = field(default_factory=lambda: defaultdict(dict))


class Looker:
    """Slurm's own state first, then the accounting, then what the job left; an end once seen stays."""

    def __init__(
        self, transport: Transport, facts: Callable[[], Facts], root: Callable[[], str], clock: Clock, timeout: float
    ) -> None:
        self._transport = transport
        self._facts = facts
        self._root = root
        self._clock = clock
        self._timeout = timeout

    def statuses(self, refs: Sequence[Ref]) -> list[Status]:
        """One per ref, in order.

        Raises:
            UnavailableError: Slurm cannot be asked, and no record has the answer.
        """
        parents = [p for p in dict.fromkeys(ref.id.partition("_")[0] for ref in refs) if split_id(p)]
        round_ = _Round()
        if len(parents) <= _FEW:
            self._read(round_, parents)
        else:
            self._read(round_, set(self._transport.call("twins", self._root())).intersection(parents))
        self._ask(round_, self._open(round_, parents, refs))
        quick = Alike(round_.queue, round_.records, round_.read).statuses(refs)
        rest = [(ref, split_id(ref.id)) for ref, status in zip(refs, quick, strict=True) if status is None]
        self._fill(round_, [part for _, part in rest if part])
        slow = iter([self._status(round_, ref, *part) if part else lost(ref) for ref, part in rest])
        found = [status or next(slow) for status in quick]
        self._keep(round_)
        if round_.failure and found and all(s.state is State.UNKNOWN for s in found):
            raise UnavailableError(round_.failure.message, next_step=round_.failure.next)
        return found

    def replicas(self, ref: Ref) -> list[ReplicaStatus]:
        """Every copy of a job: its elements, and of each its nodes.

        Raises:
            NotFoundError: There is no such job.
            UnavailableError: Slurm cannot be asked.
        """
        part = split_id(ref.id)
        whole = self.statuses([ref])[0]
        if part is None or (whole.state is State.LOST and whole.submitted_at is None):
            raise NotFoundError(f"There is no {ref}.", next_step="`gpujobs ps --all` shows what there is.")
        round_ = _Round()
        self._read(round_, [part[0]])
        record = round_.records.get(part[0])
        if part[1] is not None or record is None or record.size is None:
            return copies(whole, record, 0)
        refs = [replace(ref, id=f"{part[0]}_{i}") for i in range(record.size)]
        return [copy for i, status in enumerate(self.statuses(refs)) for copy in copies(status, record, i)]

    def _read(self, round_: _Round, parents: Iterable[str]) -> None:
        wanted = list(parents)
        if not wanted:
            return
        answer = self._transport.call("read_ids", self._root(), wanted)
        records = {name: Record(data) for name, data in answer["records"].items()}
        for parent in wanted:
            round_.records.pop(parent, None)
        round_.records.update((i, records[name]) for i, name in answer["of"].items() if name in records)
        round_.read.update(wanted)

    def _open(self, round_: _Round, parents: Sequence[str], refs: Sequence[Ref]) -> set[str]:
        """The jobs to ask Slurm for: all that has not settled, and whatever else was sent for the same."""
        of = round_.records.get
        found = {parent for parent in parents if (record := of(parent)) is None or record.plain}
        if len(found) < len(parents):
            found |= self._unsettled(round_, [p for ref in refs if (p := split_id(ref.id)) and p[0] not in found])
        return found

    def _unsettled(self, round_: _Round, parts: Sequence[tuple[str, int | None]]) -> set[str]:
        found: set[str] = set()
        for parent, index in parts:
            record = round_.records.get(parent)
            if record is None or record.plain:
                found.add(parent)
            elif not self._is_settled(record, index):
                found |= record.jobs | {parent}
        return found

    def _ask(self, round_: _Round, ids: set[str]) -> None:
        """One ``squeue``."""
        if not ids:
            return
        round_.asked |= ids
        done = look(self._transport, squeue(sorted(ids)), self._timeout, round_.queue)
        if done["rc"] != 0 and _INVALID not in text_of(done["err"]).lower():
            error = command_error("squeue", done["rc"], done["err"])
            round_.failure = Cause(Reason.UNREACHABLE, error.message, error.next_step)

    def _fill(self, round_: _Round, parts: Sequence[tuple[str, int | None]]) -> None:
        """Records of whatever may have ended, as they are now; the accounting for what the queue has forgotten."""
        unclear = [part for part in parts if self._doubtful(round_, *part)]
        if not unclear:
            return
        self._read(round_, dict.fromkeys(parent for parent, _ in unclear))
        if round_.failure:
            return
        # A job that stood down points to the one that runs, which may not have been asked for yet.
        self._ask(round_, self._unsettled(round_, unclear) - round_.asked)
        gone = {parent for part in unclear for parent in self._gone(round_, *part)}
        if gone and self._facts().accounting:
            self._ask_accounting(round_, gone)

    def _ask_accounting(self, round_: _Round, gone: set[str]) -> None:
        done = self._transport.call("run", sacct(sorted(gone)), b"", self._timeout, EXACT)
        if done["rc"] != 0:
            error = command_error("sacct", done["rc"], done["err"])
            round_.accounting_failure = Cause(Reason.UNREACHABLE, error.message, error.next_step)
            return
        # It lags: what it shows as running may be gone, so only its ends count.
        rows = parse_sacct(done["out"].decode(errors="replace"))
        round_.queue.add_ends(row for row in rows if row.ended_state)

    def _doubtful(self, round_: _Round, parent: str, index: int | None) -> bool:
        row = round_.queue.get(parent if index is None else f"{parent}_{index}")
        return doubtful(row, read=parent in round_.read)

    def _gone(self, round_: _Round, parent: str, index: int | None) -> list[str]:
        """The jobs behind a ref that the queue does not know and that have not settled."""
        record = round_.records.get(parent)
        elements = range(record.size) if record and index is None and record.size is not None else [index]
        found: set[str] = set()
        for at in elements:
            if record is None or record.settled(at) is None:
                owner, element = self._owner(record, parent, at)
                if round_.queue.get(owner if element is None else f"{owner}_{element}") is None:
                    found.add(owner)
        return list(found)

    def _is_settled(self, record: Record, index: int | None) -> bool:
        if index is None and record.size is not None:
            return all(record.settled(i) for i in range(record.size))
        return record.settled(index) is not None

    def _owner(self, record: Record | None, parent: str, index: int | None) -> tuple[str, int | None]:
        """The job that runs it, where it was sent more than once."""
        owner = record.owner(index) if record and (record.doubled or parent not in record.sent) else None
        return (split_id(owner) if owner else None) or (parent, index)

    def _status(self, round_: _Round, ref: Ref, parent: str, index: int | None) -> Status:
        record = round_.records.get(parent)
        if index is not None:
            return self._one(round_, ref, record, parent, index)
        if record is not None and record.size is not None:
            elements = list(range(record.size))
        elif record is None and round_.queue.get(parent) is None:
            elements = round_.queue.elements(parent)
        else:
            elements = []
        if not elements:
            return self._one(round_, ref, record, parent, None)
        return array_of(ref, [self._one(round_, ref, record, parent, i) for i in elements], record)

    def _one(self, round_: _Round, ref: Ref, record: Record | None, parent: str, index: int | None) -> Status:
        if record is not None and not record.plain:
            if record.deleted(index):
                return lost(ref, deleted=True)
            settled = record.settled(index)
            if settled:
                return from_settled(ref, settled, record, index)
            parent, at = self._owner(record, parent, index)
        else:
            at = index
        row = round_.queue.get(parent if at is None else f"{parent}_{at}")
        if row is None:
            return self._without_row(round_, ref, record, index)
        if record is None and parent in round_.read and is_ours(row.name):
            return lost(ref, deleted=True)
        end = settle(row, record, index)
        if end is None:
            return from_row(ref, row, record, index)
        self._note(round_, record, index, end)
        return from_settled(ref, end, record, index, row)

    def _without_row(self, round_: _Round, ref: Ref, record: Record | None, index: int | None) -> Status:
        if round_.failure:
            return unreachable(ref, round_.failure, record, index)
        if record is None or (index is not None and record.size is not None and index >= record.size):
            return unreachable(ref, round_.accounting_failure) if round_.accounting_failure else lost(ref)
        traces = record.traces(index)
        end = end_by_traces(traces)
        if end.state is State.LOST and round_.accounting_failure:
            return unreachable(ref, round_.accounting_failure, record, index)
        outcome = traces.outcomes.get(traces.attempt, {})
        started = traces.started.get(traces.attempt, {})
        node = started.get("node")
        if record.by_deadline(end, started.get("start"), outcome.get("end")):
            end = End(State.FAILED, told(Reason.DEADLINE))
        settled = Settled(end, traces.attempt, (node,) if node else (), started.get("start"), outcome.get("end"))
        if end.state is not State.LOST:
            self._note(round_, record, index, settled)
        return from_settled(ref, settled, record, index)

    def _note(self, round_: _Round, record: Record | None, index: int | None, settled: Settled) -> None:
        if record is not None:
            round_.news[record.name]["" if index is None else str(index)] = settled

    def _keep(self, round_: _Round) -> None:
        """Whoever first sees an end writes it down; files of several clients are read in the order of their names."""
        if not round_.news:
            return
        stamp = f"final.{self._clock.time():017.6f}-{secrets.token_hex(4)}"
        files = [
            [name, stamp, json.dumps({at: s.dump() for at, s in ends.items()}).encode()]
            for name, ends in round_.news.items()
        ]
        try:
            self._transport.call("put_many", self._root(), files)
        except GpuJobsError:
            # What was seen is still true; the next round writes it.
            return
