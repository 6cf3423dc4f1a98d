"""``KubernetesBackend``: jobs as Jobs, services as Deployments, on any Kubernetes, with nothing installed in it."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar

from gpujobs.errors import GpuJobsError
from gpujobs_kubernetes import _cancel
from gpujobs_kubernetes._inspecting import Inspecting
from gpujobs_kubernetes._options import KubernetesOptions
from gpujobs_kubernetes._releasing import Keeper, waits
from gpujobs_kubernetes._submit import Sender, submit_all
from gpujobs_kubernetes._yaml import dump_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import BaseModel

    from gpujobs.backend import Runtime, Submission, Submitted, Target
    from gpujobs.refs import Ref
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs_kubernetes._names import Place

_AT_ONCE = 8


class KubernetesBackend(Inspecting):
    """The backend of ``backend = "kubernetes"`` targets."""

    name: ClassVar[str] = "kubernetes"
    options: ClassVar[type[BaseModel]] = KubernetesOptions

    def __init__(self, target: Target, runtime: Runtime, /) -> None:
        self._set_up(target, runtime)
        self._start_looking()

    def render(self, item: Submission, /) -> str:
        """The exact YAML that ``submit`` would send, children after their owner; secrets as ``<secret NAME>``."""
        objects = self._objects(item, reveal=False)
        return dump_all([objects.main, *objects.children])

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """Send all of them, exactly once each, over pooled connections."""
        sender = Sender(self._api, self._clock, self._target.name)

        def send(some: Sequence[Submission]) -> list[Submitted]:
            objects = functools.partial(self._objects, reveal=True)
            return submit_all(some, lambda i: sender.send(i, objects(i)), at_once=self._options.connections)

        releaser = self._options.releaser
        if releaser is None or not any(waits(item) for item in items):
            return send(items)
        return Keeper(self._api, self._clock, releaser, self._tolerations()).submit(items, send)

    def cancel(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """End them; pods and logs stay where Kubernetes lets them."""
        return self._each(refs, lambda place: _cancel.end(self._api, place))

    def delete(self, refs: Sequence[Ref], /) -> list[GpuJobsError | None]:
        """Remove finished jobs and services, with all that belongs to them."""
        return self._each(refs, lambda place: _cancel.delete(self._api, place))

    @classmethod
    def read_native(cls, text: str, /, *, path: str) -> tuple[GpuJob | GpuService, tuple[str, ...]]:
        """The workload of a manifest: one Job, Pod, or Deployment with its Service; and what it could not express.

        Raises:
            SpecError: The text is no such manifest.
        """
        from gpujobs_kubernetes._import import read  # noqa: PLC0415  # needs yaml, which nothing else here does

        return read(text, path=path)

    def close(self) -> None:
        """End the watches and let go of connections."""
        self._watcher.close()
        self._api.close()

    def _each(self, refs: Sequence[Ref], change: Callable[[Place], GpuJobsError | None]) -> list[GpuJobsError | None]:
        def one(ref: Ref) -> GpuJobsError | None:
            try:
                place = self._place(ref)
                error = change(place)
                self._watcher.forget(place.whole)
            except GpuJobsError as e:
                return e
            return error

        if len(refs) == 1:
            return [one(refs[0])]
        with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="gpujobs-change") as pool:
            return list(pool.map(one, refs))
