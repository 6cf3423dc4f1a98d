"""Keeping a releaser there while it is needed: made or told before and after a job that waits is sent; it ends itself.

It could end in the very moment in which a job that waits is made. So whoever made one changes the Deployment after
that, and the releaser, which read it before it found that nothing waits, deletes only the version that it had read.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from gpujobs.errors import GpuJobsError, NotFoundError, UnavailableError
from gpujobs.refs import Ref
from gpujobs_kubernetes._api import DEPLOYMENTS, path
from gpujobs_kubernetes._errors import AlreadyExistsError, ModifiedError
from gpujobs_kubernetes._releaser import NAME, deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from gpujobs.backend import Clock, Submission, Submitted
    from gpujobs_kubernetes._api import Api, Table
    from gpujobs_kubernetes._options import Releaser

_STRICT = {"fieldValidation": "Strict"}
_GONE_S = 60.0
_LOOK_S = 0.2


def waits(item: Submission) -> bool:
    """Whether a submission is of a job that somebody has to release."""
    return item.spec.kind == "job" and bool(item.spec.after)


class Keeper:
    """Keeps the releaser of one namespace there."""

    def __init__(self, api: Api, clock: Clock, releaser: Releaser, tolerations: Sequence[Mapping[str, Any]]) -> None:
        self._api = api
        self._clock = clock
        self._releaser = releaser
        self._tolerations = tolerations

    def submit(
        self, items: Sequence[Submission], send: Callable[[Sequence[Submission]], list[Submitted]]
    ) -> list[Submitted]:
        """Send all. Where there can be no releaser, those that need it are refused and nothing of them is made."""
        refusal = self._ensured()
        results = iter(send([item for item in items if refusal is None or not waits(item)]))
        found = [refusal if refusal is not None and waits(item) else next(results) for item in items]
        if refusal is None and (error := self._ensured()) is not None:
            unknown = UnavailableError(f"It was taken, but its releaser may have ended meanwhile: {error.message}")
            return [unknown if waits(i) and isinstance(r, Ref) else r for i, r in zip(items, found, strict=True)]
        return found

    def _ensured(self) -> GpuJobsError | None:
        try:
            self.ensure()
        except GpuJobsError as e:
            return e
        return None

    def ensure(self) -> None:
        """Make the releaser, or tell the one that is there that something may wait from now on.

        Raises:
            RejectedError: The cluster refuses its Deployment. UnavailableError: It is not known whether it is there.
        """
        namespace = self._api.namespace
        body = deployment(self._releaser, namespace, self._tolerations, renewed=secrets.token_hex(8))
        end = self._clock.monotonic() + _GONE_S
        while True:
            try:
                found = self._api.patch(path(DEPLOYMENTS, namespace, NAME), body)
            except NotFoundError:
                with contextlib.suppress(AlreadyExistsError):
                    self._api.post(path(DEPLOYMENTS, namespace), body, query=_STRICT)
                    return
                continue
            if "deletionTimestamp" not in found["metadata"]:
                return
            if self._clock.monotonic() >= end:
                raise UnavailableError(f"The former Deployment {namespace}/{NAME} is still being deleted.")
            self._clock.sleep(_LOOK_S)


def retire(api: Api, own: Table) -> bool:
    """Delete the releaser as it was when ``own`` was read; False where somebody has needed it since."""
    meta = own["metadata"]
    unchanged = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    body = {"propagationPolicy": "Background", "preconditions": unchanged}
    try:
        api.delete(path(DEPLOYMENTS, meta["namespace"], meta["name"]), body)
    except ModifiedError:
        return False
    except NotFoundError:
        return True
    return True
