"""Send exactly once: claim, send, and settle what was claimed before."""

from __future__ import annotations

import json
import secrets
from copy import copy
from typing import TYPE_CHECKING, Any, TypeAlias

from gpujobs.errors import GpuJobsError, UnavailableError
from gpujobs.reasons import Cause, Reason
from gpujobs.refs import Ref
from gpujobs.states import State
from gpujobs_slurm._after import NO_DEPENDENCY, Dependency, depend
from gpujobs_slurm._answers import SBATCH, Answers
from gpujobs_slurm._ends import End
from gpujobs_slurm._orders import Orders, bulk_files, single_files
from gpujobs_slurm._record import Record, Settled, split_id
from gpujobs_slurm._shapes import Shapes
from gpujobs_slurm._transport import file_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.backend import Clock, Submission, Submitted, Target
    from gpujobs.states import Status
    from gpujobs_slurm._answers import Taken
    from gpujobs_slurm._facts import Facts
    from gpujobs_slurm._script import Order
    from gpujobs_slurm._transport import Transport

_Single: TypeAlias = "tuple[int, Order, Submission, Dependency]"
_Bulk: TypeAlias = "tuple[list[int], Order, list[Submission], dict[str, bytes]]"


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
        self._answers = Answers(transport, target, facts, clock)

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
        singles: list[_Single] = []
        bulks: list[_Bulk] = []
        for group in _groups(items, self._facts().max_array):
            many = [items[i] for i in group]
            try:
                needs = self.dependency(many[0])
                if len(many) == 1 or needs.never:
                    singles += [(i, orders.single(items[i], needs), items[i], needs) for i in group]
                else:
                    order = orders.bulk(many, needs)
                    bulks.append((group, order, many, bulk_files(order, many, self._clock.time())))
            except GpuJobsError as e:
                if len(many) == 1 or isinstance(e, UnavailableError):
                    results.update((i, copy(e)) for i in group)
                else:  # one of them spoils the array, so each goes alone
                    singles += self._each_alone(orders, items, group, results)
        if bulks:
            self._bulks(orders.root, bulks, results)
        if singles:
            self._singles(orders.root, singles, results)
        return [results[i] for i in range(len(items))]

    def _each_alone(
        self, orders: Orders, items: Sequence[Submission], group: Sequence[int], results: dict[int, Submitted]
    ) -> list[_Single]:
        found: list[_Single] = []
        for i in group:
            try:
                needs = self.dependency(items[i])
                found.append((i, orders.single(items[i], needs), items[i], needs))
            except GpuJobsError as e:
                results[i] = e
        return found

    # -- jobs of their own

    def _singles(self, root: str, singles: Sequence[_Single], results: dict[int, Submitted]) -> None:
        ready: list[tuple[_Single, str]] = []
        packed: list[list[Any]] = []
        for single in singles:
            i, order, item, _ = single
            nonce = secrets.token_hex(8)
            try:
                packed.append([item.key, item.made, single_files(order, item, self._clock.time()), nonce])
            except GpuJobsError as e:
                results[i] = e
                continue
            ready.append((single, nonce))
        if not ready:
            return
        answers = self._transport.call("submit_many", root, packed, SBATCH, self._timeout)
        taken: list[Taken] = []
        for ((i, order, item, needs), nonce), answer in zip(ready, answers, strict=True):
            if "taken" in answer:
                taken.append((i, item, answer["taken"]))
            else:
                results[i] = self._answers.answer(root, order.record, [None], nonce, answer)[None]
                self._never(root, order.record, results[i], needs)
        self._answers.all_taken(root, taken, results)

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

    def _bulks(self, root: str, bulks: Sequence[_Bulk], results: dict[int, Submitted]) -> None:
        nonces = [secrets.token_hex(8) for _ in bulks]
        packed = [
            [order.record, files, [item.key for item in many], all(item.made for item in many), nonce]
            for (_, order, many, files), nonce in zip(bulks, nonces, strict=True)
        ]
        answers = self._transport.call("submit_bulks", root, packed, SBATCH, self._timeout)
        taken: list[Taken] = []
        for (group, order, many, _), nonce, answer in zip(bulks, nonces, answers, strict=True):
            if "unclaimed" in answer:
                results.update((i, file_error(*answer["unclaimed"])) for i in group)
                continue
            if answer["free"]:
                sent = self._answers.answer(root, order.record, answer["free"], nonce, answer)
                results.update((group[index], result) for index, result in sent.items() if index is not None)
            taken += [(group[int(index)], many[int(index)], where) for index, where in answer["taken"].items()]
        self._answers.all_taken(root, taken, results)


def _groups(items: Sequence[Submission], largest: int) -> list[list[int]]:
    """Which items go together: those of one shape, at most as many as an array may have."""
    shapes = Shapes()
    by_shape: dict[int, list[int]] = {}
    groups: list[list[int]] = []
    for i, item in enumerate(items):
        shape = shapes.of(item.spec)
        if shape is None:
            groups.append([i])
        else:
            by_shape.setdefault(shape, []).append(i)
    for members in by_shape.values():
        groups += [members[at : at + largest] for at in range(0, len(members), largest)]
    return groups
