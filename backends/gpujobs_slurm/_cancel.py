"""End jobs, and forget those that have ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gpujobs.errors import GpuJobsError, NotFoundError, RejectedError
from gpujobs.states import State
from gpujobs_slurm._errors import command_error
from gpujobs_slurm._record import Record, split_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.refs import Ref
    from gpujobs.states import Status
    from gpujobs_slurm._transport import Transport

_OF_JOB = re.compile(r"error on job id (\d+(?:_\d+)?)")
_AT_ONCE = 1000


class Canceller:
    """Cancels and deletes on one target."""

    def __init__(
        self,
        transport: Transport,
        root: Callable[[], str],
        statuses: Callable[[Sequence[Ref]], list[Status]],
        timeout: float,
    ) -> None:
        self._transport = transport
        self._root = root
        self._statuses = statuses
        self._timeout = timeout

    def cancel(self, refs: Sequence[Ref]) -> list[GpuJobsError | None]:
        """One entry per ref. The record is marked first, so that a job that shows up late does not start."""
        records = self._records(refs)
        found: list[GpuJobsError | None] = [None] * len(refs)
        marks: list[list[Any]] = []
        doomed: dict[str, list[int]] = {}
        foreign: list[int] = []
        for i, ref in enumerate(refs):
            parent, index = split_id(ref.id) or ("", None)
            record = records.get(parent)
            if record is None:
                foreign.append(i)
            elif not _over(record, index):
                marks.append([record.name, "cancelled" + ("" if index is None else f".{index}"), b""])
                for job_id in dict.fromkeys([*record.ids(index), ref.id]):
                    doomed.setdefault(job_id, []).append(i)
        self._foreign(refs, foreign, found, doomed)
        if marks:
            self._transport.call("put_many", self._root(), marks)
        for job_id, error in self._scancel(list(doomed)).items():
            for i in doomed.get(job_id, []):
                found[i] = error
        return found

    def _foreign(
        self, refs: Sequence[Ref], which: list[int], found: list[GpuJobsError | None], doomed: dict[str, list[int]]
    ) -> None:
        """Jobs without a record: Slurm may know them all the same."""
        for i, status in zip(which, self._statuses([refs[i] for i in which]) if which else [], strict=True):
            if status.state is State.LOST:
                found[i] = _unknown(refs[i])
            elif not status.final:
                doomed.setdefault(refs[i].id, []).append(i)

    def _scancel(self, ids: list[str]) -> dict[str, GpuJobsError]:
        """What went wrong, by job id; one call for many."""
        errors: dict[str, GpuJobsError] = {}
        for at in range(0, len(ids), _AT_ONCE):
            some = ids[at : at + _AT_ONCE]
            done = self._transport.call("run", ["scancel", *some], b"", self._timeout)
            if done["rc"] == 0:
                continue
            complaints = done["err"].decode(errors="replace").splitlines()
            named = {m[1]: line for line in complaints if (m := _OF_JOB.search(line)) and "already" not in line}
            if not named and all("Invalid job id" in line for line in complaints if line.strip()):
                continue
            whole = command_error("scancel", done["rc"], done["err"])
            for job_id in named or some:
                line = named.get(job_id)
                errors[job_id] = command_error("scancel", done["rc"], line.encode()) if line else whole
        return errors

    def delete(self, refs: Sequence[Ref]) -> list[GpuJobsError | None]:
        """One entry per ref; a job that has not ended is refused."""
        records = self._records(refs)
        statuses = self._statuses(refs)
        found: list[GpuJobsError | None] = []
        gone: list[str] = []
        files: list[list[Any]] = []
        for ref, status in zip(refs, statuses, strict=True):
            part = split_id(ref.id)
            record = records.get(part[0]) if part else None
            if part is None or record is None or record.deleted(part[1]):
                found.append(_unknown(ref))
                continue
            error = _not_deletable(ref, status, record, part[1])
            found.append(error)
            if error is None and part[1] is None:
                gone.append(record.name)
            elif error is None:
                files.append([record.name, f"deleted.{part[1]}", b""])
        if files:
            self._transport.call("put_many", self._root(), files)
            self._transport.call("forget_elements", self._root(), [[name, file[8:]] for name, file, _ in files])
        if gone:
            self._transport.call("delete", self._root(), gone)
        return found

    def _records(self, refs: Sequence[Ref]) -> dict[str, Record]:
        """Records by job id without index."""
        parents = list(dict.fromkeys(part[0] for ref in refs if (part := split_id(ref.id))))
        answer = self._transport.call("read_ids", self._root(), parents)
        by_name = {name: Record(data) for name, data in answer["records"].items()}
        return {i: by_name[name] for i, name in answer["of"].items() if name in by_name}


def _over(record: Record, index: int | None) -> bool:
    if index is None and record.size is not None:
        return all(record.settled(i) for i in range(record.size))
    return record.settled(index) is not None


def _not_deletable(ref: Ref, status: Status, record: Record, index: int | None) -> GpuJobsError | None:
    if status.state is State.UNKNOWN and status.reason:
        return RejectedError(f"{ref} may still run: {status.reason.message}", next_step="Try again later.")
    if not status.final:
        return RejectedError(f"{ref} still runs.", next_step="Cancel it first.")
    if index is not None and not record.bulk:
        return RejectedError(f"{ref} is an element of an array.", next_step="Delete the whole array.")
    return None


def _unknown(ref: Ref) -> NotFoundError:
    return NotFoundError(f"There is no {ref}.", next_step="`gpujobs ps --all` shows what there is.")
