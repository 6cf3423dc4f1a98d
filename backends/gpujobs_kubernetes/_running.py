"""The backend's verbs on running workloads: exec, forward, and those of services."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from gpujobs.errors import ConflictError, NotFoundError, RejectedError
from gpujobs_kubernetes import _exec, _forward
from gpujobs_kubernetes._api import DEPLOYMENTS, PODS, SERVICES, path
from gpujobs_kubernetes._cancel import existing
from gpujobs_kubernetes._copies import by_index
from gpujobs_kubernetes._endpoints import endpoints_of
from gpujobs_kubernetes._names import ENDED, ID, KEY
from gpujobs_kubernetes._reading import Reading
from gpujobs_kubernetes._rollout import roll_out
from gpujobs_kubernetes._service_states import in_order
from gpujobs_kubernetes._submit import Sender
from gpujobs_kubernetes._views import pod_view

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from gpujobs.backend import Submission
    from gpujobs.refs import Ref
    from gpujobs.results import ExecResult
    from gpujobs_kubernetes._api import Table
    from gpujobs_kubernetes._names import Place
    from gpujobs_kubernetes._views import PodView

_RESTARTED = "kubectl.kubernetes.io/restartedAt"


class Running(Reading):
    """What is done to workloads that run."""

    def exec(self, ref: Ref, argv: Sequence[str], /, *, replica: int = 0, stdin: bytes | None = None) -> ExecResult:
        """Run a command in a copy's container.

        Raises:
            NotFoundError: No such workload, or that copy does not run.
        """
        place = self._place(ref)
        return _exec.run(self._api, place.namespace, self._pod(place, replica), argv, stdin=stdin)

    def exec_interactive(self, ref: Ref, argv: Sequence[str], /, *, replica: int = 0) -> int:
        """Run a command in a copy's container on this terminal; its exit code."""
        place = self._place(ref)
        return _exec.run_on_terminal(self._api, place.namespace, self._pod(place, replica), argv)

    def forward(self, ref: Ref, port: int, local_port: int, /, *, replica: int = 0) -> AbstractContextManager[int]:
        """Carry a local port to a copy; a service's port is carried to the one its process listens on."""
        place = self._place(ref)
        self._pod(place, replica)
        return _forward.forward(
            self._api,
            place.namespace,
            lambda: self._pod(place, replica),
            self._target_port(place, port),
            local_port,
        )

    def scale(self, ref: Ref, replicas: int, /) -> None:
        """Ask for so many copies.

        Raises:
            NotFoundError: There is no such service. RejectedError: It was cancelled.
        """
        place, _ = self._service(ref)
        self._api.patch(path(DEPLOYMENTS, place.namespace, place.name), {"spec": {"replicas": replicas}})
        self._watcher.forget(place)

    def restart(self, ref: Ref, /) -> None:
        """Replace every copy, a few at a time, as ``kubectl rollout restart`` does."""
        place, _ = self._service(ref)
        now = datetime.fromtimestamp(self._clock.time(), tz=timezone.utc).isoformat()
        template = {"metadata": {"annotations": {_RESTARTED: now}}}
        self._api.patch(path(DEPLOYMENTS, place.namespace, place.name), {"spec": {"template": template}})
        self._watcher.forget(place)

    def update(self, ref: Ref, item: Submission, /) -> None:
        """Roll out another definition under the same name.

        Raises:
            NotFoundError: There is no such service. ConflictError: The definition is of another one.
        """
        place, found = self._service(ref)
        key = found["metadata"]["annotations"].get(KEY)
        if item.key not in {key, place.name}:
            raise ConflictError(
                f"{place.name} is the service {key!r}, but the definition is named {item.key!r}.",
                next_step="Name it the same, or leave the name out.",
            )
        named = item if item.key == key or key is None else _named(item, key)
        sender = Sender(self._api, self._clock, self._target.name)
        roll_out(self._api, sender, self._objects(named, reveal=True), found, now=self._clock.time())
        self._watcher.forget(place)

    def endpoints(self, ref: Ref, /) -> list[str]:
        """``HOST:PORT`` of each port: of a node, of the Service, or of each ready copy of a headless one."""
        place, _ = self._service(ref)
        return endpoints_of(self._service_object(place), self._pods(place))

    def _service(self, ref: Ref) -> tuple[Place, Table]:
        place = self._place(ref)
        found = existing(self._api, place)
        if ENDED in (found["metadata"].get("annotations") or {}):
            raise RejectedError(f"{ref} was cancelled; that is final.", next_step="Delete it, then submit it again.")
        return place, found

    def _service_object(self, place: Place) -> Table | None:
        try:
            return self._api.get(path(SERVICES, place.namespace, place.name))
        except NotFoundError:
            return None

    def _pods(self, place: Place) -> list[PodView]:
        pods = self._api.list(path(PODS, place.namespace), {"labelSelector": f"{ID}={place.name}"})
        return [pod_view(pod) for pod in pods]

    def _pod(self, place: Place, replica: int) -> str:
        """The name of the pod of a copy that runs.

        Raises:
            NotFoundError: It does not run.
        """
        existing(self._api, place.whole)
        pods = self._pods(place)
        if place.kind == "service":
            chosen = dict(enumerate(in_order(pods))).get(replica)
        else:
            owned = by_index(pods).get(replica if place.index is None else place.index)
            chosen = owned[-1] if owned else None
        if chosen is None or not chosen.running:
            state = f"is {chosen.phase}" if chosen else "is not there"
            raise NotFoundError(
                f"Copy {replica} of {place.name} does not run: its pod {state}.", next_step="Wait until it runs."
            )
        return chosen.name

    def _target_port(self, place: Place, port: int) -> int:
        found = self._service_object(place) if place.kind == "service" else None
        ports: list[dict[str, Any]] = found["spec"].get("ports") or [] if found else []
        return next(
            (p["targetPort"] for p in ports if p["port"] == port and isinstance(p.get("targetPort"), int)), port
        )


def _named(item: Submission, key: str) -> Submission:
    """The same submission under the name that the service was made with."""
    from dataclasses import replace  # noqa: PLC0415  # only here

    return replace(item, key=key)
