"""What a submission came to: what sbatch's answer means, and what became of a key that was claimed before."""

from __future__ import annotations

import secrets
from copy import copy
from typing import TYPE_CHECKING, Any, TypeAlias

from gpujobs.errors import ConflictError, GpuJobsError, UnavailableError
from gpujobs.refs import Ref
from gpujobs_slurm._errors import command_error, refusal, text_of
from gpujobs_slurm._queue import Queue, look
from gpujobs_slurm._record import Record, split_id
from gpujobs_slurm._rows import squeue_named
from gpujobs_slurm._transport import file_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.backend import Clock, Submission, Submitted, Target
    from gpujobs_slurm._facts import Facts
    from gpujobs_slurm._transport import Transport

Taken: TypeAlias = "tuple[int, Submission, list[Any] | None]"
"""Which of the submissions, itself, and the record and element its key leads to."""
SBATCH = ["sbatch", "--parsable"]
_OWNER_S = 30.0
"""How long to wait to learn which of two sent jobs runs."""
_LOOK_S = 0.2
_MARGIN_S = 3.0


class Answers:
    """Settles the submissions to one target."""

    def __init__(self, transport: Transport, target: Target, facts: Callable[[], Facts], clock: Clock) -> None:
        self._transport = transport
        self._target = target.name
        self._facts = facts
        self._clock = clock
        self._timeout: float = target.options.timeout

    def _ref(self, job_id: str) -> Ref:
        return Ref("slurm", self._target, job_id)

    def answer(
        self, root: str, record: str, indices: Sequence[int | None], nonce: str, answer: dict[str, Any]
    ) -> dict[int | None, Submitted]:
        """What sbatch's answer means for the claim behind it, or for elements of it."""
        if "id" in answer:
            job_id: str = answer["id"]
            if answer["twin"]:
                owners = self._owners(root, record, indices)
                return {i: self._ref(owners[i] or _element(job_id, i)) for i in indices}
            target = self._target
            return {i: Ref("slurm", target, _element(job_id, i)) for i in indices}
        error = self._no_id(root, record, nonce, answer)
        # Each error is an object of its own: the client writes the key of each into it.
        return {i: copy(error) for i in indices}

    def _no_id(self, root: str, record: str, nonce: str, answer: dict[str, Any]) -> GpuJobsError:
        if "unclaimed" in answer:
            return file_error(*answer["unclaimed"])
        if "error" in answer:
            return UnavailableError(f"The job directory cannot be written: {answer['error']}.")
        if answer["rc"] == 0:
            error: GpuJobsError = UnavailableError(f"sbatch printed no job id: {text_of(answer['out'])[:200]}.")
        else:
            error = refusal(answer["rc"], answer["err"])
        if isinstance(error, UnavailableError):
            self._transport.call("doubt", root, record, nonce)
            return error
        if self._transport.call("refused", root, record, nonce):
            return error
        return UnavailableError(f"An earlier try may still have been taken; this one was refused: {error.message}")

    def _owners(self, root: str, record: str, indices: Sequence[int | None]) -> dict[int | None, str | None]:
        """Which of the jobs that were sent for each element runs it, once that is known."""
        deadline = self._clock.monotonic() + _OWNER_S
        while True:
            data = self._transport.call("read", root, record)
            of = Record(data) if data else None
            owners = {index: of.owner(index) if of else None for index in indices}
            if all(owners.values()) or self._clock.monotonic() >= deadline:
                return owners
            self._clock.sleep(_LOOK_S)

    # -- keys that were claimed before

    def all_taken(self, root: str, taken: Sequence[Taken], results: dict[int, Submitted]) -> None:
        """The refs of first submissions; record by record, so that a bulk costs what a single one does."""
        by_record: dict[str, list[tuple[int, Submission, int | None]]] = {}
        for i, item, where in taken:
            name, index = where or ("", None)
            by_record.setdefault(name, []).append((i, item, index))
        for name, members in by_record.items():
            record = self._settled_claim(root, name, [index for *_, index in members]) if name else None
            if record is None:
                text = "was removed while it was looked at."
                results.update((i, UnavailableError(f"The record of the key {m.key!r} {text}")) for i, m, _ in members)
                continue
            open_: dict[int | None, int] = {}
            for i, item, index in members:
                found = self._first(record, item, index)
                if found is None:
                    open_[index] = i
                else:
                    results[i] = found
            if open_:
                sent = self._find_or_send(root, record, list(open_))
                results.update((open_[index], result) for index, result in sent.items())

    def _first(self, record: Record, item: Submission, index: int | None) -> Submitted | None:
        """The ref of the first submission of a key, or the conflict with it; None where it has no id yet."""
        ids = record.ids(index)
        if record.hash(index) == item.spec_hash:
            return self._ref(ids[0]) if ids else None
        where = f"{self._ref(ids[0])}, which is another workload" if ids else "another workload"
        return ConflictError(
            f"The key {item.key!r} belongs to {where}.",
            next_step="Give another key, or delete that one first.",
        )

    def _find_or_send(self, root: str, record: Record, indices: Sequence[int | None]) -> dict[int | None, Submitted]:
        """For what has no id of a claim: its sender died, or got no answer."""
        found = self._in_queue(record, indices)
        if isinstance(found, GpuJobsError):
            return {index: copy(found) for index in indices}
        results: dict[int | None, Submitted] = {index: self._ref(job_id) for index, job_id in found.items()}
        by_parent: dict[str, list[int]] = {}
        for index, job_id in found.items():
            by_parent.setdefault(job_id.partition("_")[0], []).extend([] if index is None else [index])
        for parent, some in by_parent.items():
            self._transport.call("adopt", root, record.name, parent, self._some(record, some))
        rest = [index for index in indices if index not in found]
        if rest:
            nonce = secrets.token_hex(8)
            only = self._some(record, [index for index in rest if index is not None])
            answer = self._transport.call("send_again", root, record.name, nonce, SBATCH, self._timeout, only)
            results.update(self.answer(root, record.name, rest, nonce, answer))
        return results

    def _some(self, record: Record, indices: list[int]) -> list[int] | None:
        """These elements; None for all there are."""
        return indices if indices and len(indices) < (record.size or 0) else None

    def _settled_claim(self, root: str, name: str, indices: Sequence[int | None]) -> Record | None:
        """The record once nobody is sending it any more: it has an id, or its sender is gone."""
        patience = self._facts().message_timeout + _MARGIN_S
        while True:
            data = self._transport.call("read", root, name)
            if data is None:
                return None
            record = Record(data)
            fresh = any(float(age) < patience for _, age in record.sending)
            if not fresh or all(record.ids(index) for index in indices):
                return record
            self._clock.sleep(_LOOK_S)

    def _in_queue(self, record: Record, indices: Sequence[int | None]) -> dict[int | None, str] | GpuJobsError:
        """Jobs of that name in the queue, whose sender never told their id."""
        queue = Queue()
        done = look(self._transport, squeue_named(record.claim["job"]), self._timeout, queue)
        if done["rc"] != 0:
            return command_error("squeue", done["rc"], done["err"])
        wanted = frozenset(indices)
        found: dict[int | None, str] = {}
        for job_id in queue.lines:
            parent, index = split_id(job_id) or ("", None)
            if queue.get(job_id) is None:
                continue
            if None in wanted:
                found.setdefault(None, parent)
            elif index in wanted:
                found.setdefault(index, job_id)
        return found


def _element(job_id: str, index: int | None) -> str:
    return job_id if index is None else f"{job_id}_{index}"
