"""Send exactly once: claim, send, and settle what was claimed before."""

from __future__ import annotations

import json
import secrets
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpujobs.errors import ConflictError, GpuJobsError, UnavailableError
from gpujobs.reasons import Cause, Reason
from gpujobs.refs import Ref
from gpujobs.states import State
from gpujobs_slurm._after import NO_DEPENDENCY, Dependency, depend
from gpujobs_slurm._ends import End
from gpujobs_slurm._errors import command_error, refusal, text_of
from gpujobs_slurm._names import record_name
from gpujobs_slurm._orders import Orders, bulk_files, shape, single_files
from gpujobs_slurm._record import Record, Settled, split_id
from gpujobs_slurm._rows import TIMES, parse_squeue, squeue_named
from gpujobs_slurm._script import Order, ranges, render_script
from gpujobs_slurm._transport import file_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.backend import Clock, Submission, Submitted, Target
    from gpujobs.states import Status
    from gpujobs_slurm._facts import Facts
    from gpujobs_slurm._transport import Transport

_SBATCH = ["sbatch", "--parsable"]
_OWNER_S = 30.0
"""How long to wait to learn which of two sent jobs runs."""
_LOOK_S = 0.2
_MARGIN_S = 3.0


class Sender:
    """Submits to one target."""

    def __init__(
        self,
        transport: Transport,
        target: Target,
        facts: Callable[[], Facts],
        directory: Callable[[], str],
        *,
        statuses: Callable[[Sequence[Ref]], list[Status]],
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._target = target
        self._facts = facts
        self._directory = directory
        self._statuses = statuses
        self._clock = clock
        self._timeout: float = target.options.timeout

    def orders(self) -> Orders:
        """What makes orders of submissions."""
        return Orders(self._target, self._facts(), self._directory())

    def dependency(self, item: Submission) -> Dependency:
        """What a job is to wait for."""
        if item.spec.kind != "job":
            return NO_DEPENDENCY
        return depend(item.spec.after, self._target.name, self._statuses, self._running)

    def _running(self, ref: Ref) -> str:
        """The Slurm job that runs a ref: of two that were sent, not the one that will stand down."""
        parent, index = split_id(ref.id) or (ref.id, None)
        found = self._transport.call("read_ids", self.orders().root, [parent])
        record = found["records"].get(found["of"].get(parent))
        return (Record(record).owner(index) if record else None) or ref.id

    def submit(self, items: Sequence[Submission]) -> list[Submitted]:
        """One ref or error per item, in order."""
        orders = self.orders()
        results: dict[int, Submitted] = {}
        singles: list[tuple[int, Order, Submission, Dependency]] = []
        for group in _groups(items, self._facts().max_array):
            many = [items[i] for i in group]
            try:
                needs = self.dependency(many[0])
                if len(many) == 1 or needs.never:
                    singles += [(i, orders.single(items[i], needs), items[i], needs) for i in group]
                else:
                    results.update(zip(group, self._bulk(orders, many, needs), strict=True))
            except GpuJobsError as e:
                if len(many) == 1 or isinstance(e, UnavailableError):
                    results.update((i, copy(e)) for i in group)
                else:  # one of them spoils the array, so each goes alone
                    singles += self._each_alone(orders, items, group, results)
        results.update(self._singles(orders.root, singles, results))
        return [results[i] for i in range(len(items))]

    def _each_alone(
        self, orders: Orders, items: Sequence[Submission], group: Sequence[int], results: dict[int, Submitted]
    ) -> list[tuple[int, Order, Submission, Dependency]]:
        found: list[tuple[int, Order, Submission, Dependency]] = []
        for i in group:
            try:
                needs = self.dependency(items[i])
                found.append((i, orders.single(items[i], needs), items[i], needs))
            except GpuJobsError as e:
                results[i] = e
        return found

    # -- jobs of their own

    def _singles(
        self,
        root: str,
        singles: Sequence[tuple[int, Order, Submission, Dependency]],
        results: dict[int, Submitted],
    ) -> dict[int, Submitted]:
        ready: list[tuple[int, Order, Submission, Dependency, str]] = []
        packed: list[list[Any]] = []
        for i, order, item, needs in singles:
            nonce = secrets.token_hex(8)
            try:
                packed.append([order.record, single_files(order, item, self._clock.time()), nonce])
            except GpuJobsError as e:
                results[i] = e
                continue
            ready.append((i, order, item, needs, nonce))
        if not ready:
            return results
        answers = self._transport.call("submit_many", root, packed, _SBATCH, self._timeout)
        for (i, order, item, needs, nonce), answer in zip(ready, answers, strict=True):
            if "taken" in answer:
                results[i] = self._taken(item, root, answer["taken"])
            else:
                results[i] = self._answer(root, order.record, None, nonce, answer)
                self._never(root, order.record, results[i], needs)
        return results

    def _never(self, root: str, record: str, result: Submitted, needs: Dependency) -> None:
        """What waits for something that cannot come was sent held; it ends here, as Slurm would end it."""
        if needs.never is None or not isinstance(result, Ref):
            return
        cause = Cause(Reason.DEPENDENCY, f"It could never start: {needs.never}.", "Look at that job first.")
        end = Settled(End(State.CANCELLED, cause), ended=self._clock.time(), native=("CANCELLED", "Dependency"))
        final = json.dumps({"": end.dump()}).encode()
        files = [[record, "cancelled", b""], [record, f"final.{0:017.6f}-dependency", final]]
        self._transport.call("put_many", root, files)
        self._transport.call("run", ["scancel", result.id], b"", self._timeout)

    # -- bulks

    def _bulk(self, orders: Orders, items: Sequence[Submission], needs: Dependency) -> list[Submitted]:
        order = orders.bulk(items, needs)
        nonce = secrets.token_hex(8)
        files = bulk_files(order, items, self._clock.time())
        names = [record_name(item.key) for item in items]
        free = self._transport.call("claim_bulk", orders.root, order.record, files, names, nonce)
        results: dict[int, Submitted] = {}
        if free:
            script = render_script(replace(order, indices=tuple(free))).encode()
            answer = self._transport.call("send_bulk", orders.root, order.record, nonce, _SBATCH, script, self._timeout)
            whole = self._answer(orders.root, order.record, None, nonce, answer)
            results = {i: self._element(whole, i) for i in free}
        else:
            self._transport.call("refused", orders.root, order.record, nonce)
        for i, item in enumerate(items):
            if i not in results:
                taken = self._transport.call("resolve", orders.root, names[i])
                results[i] = self._taken(item, orders.root, taken)
        return [results[i] for i in range(len(items))]

    def _element(self, whole: Submitted, index: int) -> Submitted:
        # Each error is an object of its own: the client writes the key of each into it.
        return Ref(whole.backend, whole.target, f"{whole.id}_{index}") if isinstance(whole, Ref) else copy(whole)

    # -- answers

    def _ref(self, job_id: str) -> Ref:
        return Ref("slurm", self._target.name, job_id)

    def _answer(self, root: str, record: str, index: int | None, nonce: str, answer: dict[str, Any]) -> Submitted:
        """What sbatch's answer means for the claim behind it."""
        if "unclaimed" in answer:
            return file_error(*answer["unclaimed"])
        if "error" in answer:
            return UnavailableError(f"The job directory cannot be written: {answer['error']}.")
        if "id" in answer:
            own = answer["id"] if index is None else f"{answer['id']}_{index}"
            return self._ref(self._owner(root, record, index) or own if answer["twin"] else own)
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

    def _owner(self, root: str, record: str, index: int | None) -> str | None:
        """Which of the jobs that were sent for a key runs it, once that is known."""
        deadline = self._clock.monotonic() + _OWNER_S
        while True:
            data = self._transport.call("read", root, record)
            owner = Record(data).owner(index) if data else None
            if owner is not None or self._clock.monotonic() >= deadline:
                return owner
            self._clock.sleep(_LOOK_S)

    # -- keys that were claimed before

    def _taken(self, item: Submission, root: str, taken: list[Any] | None) -> Submitted:
        """The ref of the first submission of a key; where that has none, it is looked for and then sent again."""
        name, index = taken or ("", None)
        record = self._settled_claim(root, name, index) if name else None
        if record is None:
            return UnavailableError(f"The record of the key {item.key!r} was removed while it was looked at.")
        ids = record.ids(index)
        if record.part(index)["hash"] != item.spec_hash:
            where = f"{self._ref(ids[0])}, which is another workload" if ids else "another workload"
            return ConflictError(
                f"The key {item.key!r} belongs to {where}.",
                next_step="Give another key, or delete that one first.",
            )
        return self._ref(ids[0]) if ids else self._find_or_send(root, record, index)

    def _find_or_send(self, root: str, record: Record, index: int | None) -> Submitted:
        """For a claim without an id: its sender died, or got no answer."""
        found = self._in_queue(record, index)
        if isinstance(found, GpuJobsError):
            return found
        if found is not None:
            self._transport.call("adopt", root, record.name, found.partition("_")[0], index)
            return self._ref(found)
        nonce = secrets.token_hex(8)
        argv = _SBATCH if index is None else [*_SBATCH, f"--array={ranges((index,))}"]
        answer = self._transport.call("send_again", root, record.name, nonce, argv, self._timeout, index)
        return self._answer(root, record.name, index, nonce, answer)

    def _settled_claim(self, root: str, name: str, index: int | None) -> Record | None:
        """The record once nobody is sending it any more: it has an id, or its sender is gone."""
        patience = self._facts().message_timeout + _MARGIN_S
        while True:
            data = self._transport.call("read", root, name)
            if data is None:
                return None
            record = Record(data)
            fresh = any(float(age) < patience for _, age in record.sending)
            if record.ids(index) or not fresh:
                return record
            self._clock.sleep(_LOOK_S)

    def _in_queue(self, record: Record, index: int | None) -> str | GpuJobsError | None:
        """A job of that name in the queue, whose sender never told its id."""
        done = self._transport.call("run", squeue_named(record.claim["job"]), b"", self._timeout, TIMES)
        if done["rc"] != 0:
            return command_error("squeue", done["rc"], done["err"])
        rows = parse_squeue(done["out"].decode(errors="replace"))
        if index is not None:
            return next((r.id for r in rows if r.id.endswith(f"_{index}")), None)
        return rows[0].parent if rows else None


def _groups(items: Sequence[Submission], largest: int) -> list[list[int]]:
    """Which items go together: those of one shape, at most as many as an array may have."""
    by_shape: dict[str, list[int]] = {}
    groups: list[list[int]] = []
    for i, item in enumerate(items):
        key = shape(item)
        if key is None:
            groups.append([i])
        else:
            by_shape.setdefault(key, []).append(i)
    for members in by_shape.values():
        groups += [members[at : at + largest] for at in range(0, len(members), largest)]
    return groups
