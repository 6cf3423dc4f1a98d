"""Exactly once: one name per key, children before the release, and a crash between any two calls leaves nothing behind.

The main object is made first, asleep where it needs children; the children are made owned by it; then it is woken. What
a crash leaves is an object that holds nothing, and submitting again with the same key completes it.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from gpujobs.errors import ConflictError, GpuJobsError, NotFoundError, RejectedError, UnavailableError
from gpujobs_kubernetes._api import COLLECTIONS, JOBS, path
from gpujobs_kubernetes._errors import AlreadyExistsError, ModifiedError
from gpujobs_kubernetes._lookup import ours
from gpujobs_kubernetes._names import AFTER, HOLD, KEY, REPLICAS, SPEC, Place, ref_to
from gpujobs_kubernetes._tables import annotations_of, rows
from gpujobs_kubernetes._yaml import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.backend import Clock, Submission, Submitted
    from gpujobs.refs import Ref
    from gpujobs_kubernetes._api import Api, Table
    from gpujobs_kubernetes._manifests import Objects

_STRICT = {"fieldValidation": "Strict"}
_GONE_S = 60.0
_LOOK_S = 0.2
_AT_ONCE = 16


def submit_all(
    items: Sequence[Submission], send: Callable[[Submission], Ref], *, at_once: int = _AT_ONCE
) -> list[Submitted]:
    """Send all, a few at a time over pooled connections; one refused loses none of the others."""

    def one(item: Submission) -> Submitted:
        try:
            return send(item)
        except GpuJobsError as e:
            return e

    if len(items) == 1:
        return [one(items[0])]
    with ThreadPoolExecutor(max_workers=max(1, min(at_once, len(items))), thread_name_prefix="gpujobs-submit") as pool:
        return list(pool.map(one, items))


class Sender:
    """Sends one submission's objects."""

    def __init__(self, api: Api, clock: Clock, target: str) -> None:
        self._api = api
        self._clock = clock
        self._target = target

    def send(self, item: Submission, objects: Objects) -> Ref:
        """Make the object, or find the one that this key made before.

        Raises:
            ConflictError: The name is taken by another workload. UnavailableError: It is not known what became of it.
        """
        main = objects.main
        meta = main["metadata"]
        where = COLLECTIONS[main["kind"]]
        found, made = self._create(item, main, where)
        held = annotations_of(found).get(HOLD)
        if held == "children":
            try:
                self._complete(objects, found, where)
            except UnavailableError:
                raise
            except GpuJobsError:
                if made:  # a workload that was refused must not keep its name
                    self._undo(found, where)
                raise
        return ref_to("kubernetes", self._target, Place(meta["namespace"], item.spec.kind, meta["name"]))

    def _undo(self, found: Table, where: str) -> None:
        meta = found["metadata"]
        body = {"propagationPolicy": "Background", "preconditions": {"uid": meta["uid"]}}
        with contextlib.suppress(GpuJobsError):
            self._api.delete(path(where, meta["namespace"], meta["name"]), body)

    def _create(self, item: Submission, main: Table, where: str) -> tuple[Table, bool]:
        """(the object, whether it was made just now)."""
        namespace, name = main["metadata"]["namespace"], main["metadata"]["name"]
        end = self._clock.monotonic() + _GONE_S
        while True:
            try:
                return self._api.post(path(where, namespace), dump(main), query=_STRICT), True
            except AlreadyExistsError:
                pass
            try:
                found = self._api.get(path(where, namespace, name))
            except NotFoundError:
                continue  # it went between the two questions
            if "deletionTimestamp" not in found["metadata"]:
                return _same(item, found, f"{main['kind']} {namespace}/{name}"), False
            if self._clock.monotonic() >= end:
                raise UnavailableError(f"The former {main['kind']} {namespace}/{name} is still being deleted.")
            self._clock.sleep(_LOOK_S)

    def _complete(self, objects: Objects, found: Table, where: str) -> None:
        """Make the children and wake the object; every step may have been done before, by us or by another."""
        for child in objects.children:
            self.adopt(child, found)
        meta = found["metadata"]
        while True:
            # With the version: an object that was cancelled, or woken and changed, meanwhile is left alone.
            try:
                self._api.patch(path(where, meta["namespace"], meta["name"]), _waking(found, objects, where))
            except ModifiedError:
                found = self._api.get(path(where, meta["namespace"], meta["name"]))
                if annotations_of(found).get(HOLD) == "children":
                    continue
            return

    def adopt(self, child: Table, owner: Table) -> None:
        """Make a child that goes when its owner goes; one of a former owner is waited for."""
        meta = owner["metadata"]
        reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
        owned = {**child, "metadata": {**child["metadata"], "ownerReferences": [{**reference, "controller": True}]}}
        end = self._clock.monotonic() + _GONE_S
        while not self._made(owned, meta["uid"]):
            if self._clock.monotonic() >= end:
                name = f"{meta['namespace']}/{child['metadata']['name']}"
                raise UnavailableError(f"The former {child['kind']} {name} is still being deleted.")
            self._clock.sleep(_LOOK_S)

    def _made(self, child: Table, owner: str) -> bool:
        """Whether the child is there, made now or before; False while another's of that name is going away."""
        where = COLLECTIONS[child["kind"]]
        namespace, name = child["metadata"]["namespace"], child["metadata"]["name"]
        refused: RejectedError | None = None
        try:
            self._api.post(path(where, namespace), dump(child), query=_STRICT)
        except RejectedError as e:
            # Not only AlreadyExists: a Service that is there already is refused for its own node port.
            refused = e
        else:
            return True
        try:
            there = self._api.get(path(where, namespace, name))
        except NotFoundError:
            if isinstance(refused, AlreadyExistsError):
                return False
            raise refused from None
        owners = rows(there["metadata"], "ownerReferences")
        if any(o.get("uid") == owner for o in owners):
            return True
        if not owners:
            raise ConflictError(
                f"There is a {child['kind']} {namespace}/{name} already, which gpujobs did not make.",
                next_step="Give the workload another name.",
            )
        return False


def _waking(found: Table, objects: Objects, where: str) -> Table:
    """The patch that lets a held object go."""
    meta = found["metadata"]
    notes: dict[str, Any] = meta.get("annotations") or {}
    if where == JOBS:
        waits = AFTER in notes
        patch: Table = {"metadata": {"annotations": {HOLD: "after" if waits else None}}}
        if not waits:
            patch["spec"] = {"suspend": False}
    else:
        patch = {"metadata": {"annotations": {HOLD: None, REPLICAS: None}}}
        patch["spec"] = {"replicas": int(notes.get(REPLICAS) or objects.main["spec"].get("replicas") or 0)}
    patch["metadata"]["resourceVersion"] = meta["resourceVersion"]
    return patch


def _same(item: Submission, found: Table, what: str) -> Table:
    """The object, if it is what this submission would make.

    Raises:
        ConflictError: It is another's.
    """
    notes = annotations_of(found)
    if not ours(found) or KEY not in notes:
        raise ConflictError(
            f"There is a {what} already, which gpujobs did not make.", next_step="Give the workload another name."
        )
    if notes[KEY] != item.key or notes.get(SPEC) != item.spec_hash:
        kind = "key" if item.spec.kind == "job" else "name"
        raise ConflictError(
            f"The {kind} {item.key!r} belongs to {what}, which is another workload.",
            next_step="Give another one, or delete that one first."
            if kind == "key"
            else "Roll the new definition out (update), or delete that one first.",
        )
    return found
