"""The backend's verbs that look at the cluster: capacity, explain, events, preflight, check."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from gpujobs.backend import Submission
from gpujobs.errors import AuthError, GpuJobsError, NotFoundError, SpecError
from gpujobs.reasons import Reason
from gpujobs_kubernetes import _rbac
from gpujobs_kubernetes._api import NODES, PODS, path
from gpujobs_kubernetes._cancel import existing
from gpujobs_kubernetes._capacity import capacity_of, held
from gpujobs_kubernetes._checks import checks, releaser_check
from gpujobs_kubernetes._events import as_event, events_of
from gpujobs_kubernetes._explain import WANTS_NODES, explanation
from gpujobs_kubernetes._facts import node_facts
from gpujobs_kubernetes._names import is_subdomain
from gpujobs_kubernetes._preflight import refusal
from gpujobs_kubernetes._running import Running
from gpujobs_kubernetes._yaml import dump_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.refs import Ref
    from gpujobs.results import Capacity, Check, Event, Explanation
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs.states import Status
    from gpujobs_kubernetes._api import Table
    from gpujobs_kubernetes._capacity import Held
    from gpujobs_kubernetes._facts import NodeFacts

T = TypeVar("T")
_QUOTAS = "v1/resourcequotas"
_OPEN_PODS = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}


class Inspecting(Running):
    """What tells about the cluster around a workload."""

    def capacity(self) -> Capacity:
        """All GPUs by node and kind, and which are free. Needs to read nodes and pods of the whole cluster.

        Raises:
            AuthError: We may not look at them.
        """
        nodes = [node_facts(node) for node in self._api.list(path(NODES))]
        return capacity_of(nodes, held(self._api.list(path(PODS), _OPEN_PODS)))

    def events(self, ref: Ref, /) -> list[Event]:
        """What Kubernetes noted about a workload and its pods, oldest first; it forgets after an hour."""
        place = self._place(ref)
        existing(self._api, place.whole)
        return [as_event(event) for event in events_of(self._api, place)]

    def explain(self, status: Status, /) -> Explanation:
        """Why it waits or failed: with GPUs by node, quotas and warnings, as far as they may be seen."""
        code = status.reason.code if status.reason is not None else None
        pod, events, quotas, nodes, taken = self._around(status, code)
        return explanation(status, pod, nodes=nodes, taken=taken, quotas=quotas, events=events)

    def _around(
        self, status: Status, code: Reason | None
    ) -> tuple[Table, list[Table], list[Table], Sequence[NodeFacts] | None, Held]:
        place = self._place(status.ref).whole
        try:
            pod: Table = existing(self._api, place)["spec"]["template"]["spec"]
        except NotFoundError:
            pod = {"containers": [{}]}
        events = self._seen(lambda: events_of(self._api, place)) or []
        quotas = self._seen(lambda: self._api.list(path(_QUOTAS, place.namespace))) or []
        nodes, taken = None, Counter[tuple[str, str]]()
        if code in WANTS_NODES or code is None:
            nodes = self._seen(lambda: [node_facts(n) for n in self._api.list(path(NODES))])
        if nodes is not None and code in WANTS_NODES:
            pods = self._seen(lambda: self._api.list(path(PODS), _OPEN_PODS))
            taken = held(pods or ())
            nodes = nodes if pods is not None else None
        wants_quota = code in {Reason.QUOTA, Reason.ADMISSION}
        return pod, events, quotas if wants_quota else [], nodes, taken

    def _seen(self, ask: Callable[[], list[T]]) -> list[T] | None:
        """The answer, or None where we may not ask."""
        try:
            return ask()
        except AuthError:
            return None

    def preflight(self, specs: Sequence[GpuJob | GpuService], /) -> list[GpuJobsError | None]:
        """One entry per workload: None, or what keeps every node of the cluster from ever running it."""
        return [self._refused(spec) for spec in specs]

    def _refused(self, spec: GpuJob | GpuService) -> GpuJobsError | None:
        if self._options.autoscaling or not (spec.gpus or spec.cpus or spec.memory or spec.node_selector):
            return None
        try:
            facts = self._prober.facts(gpus=True)
            main = self._objects(Submission(spec, "preflight", ""), reveal=False).main
        except GpuJobsError:
            return None  # what is wrong with it, or with the connection, submitting tells
        return refusal(main["spec"]["template"]["spec"], spec.gpus, facts)

    def check(self) -> list[Check]:
        """Prove that the target works: connection, rights, GPUs, and a tiny pod where an image is configured."""
        found = checks(self._api, self._prober, self._target)
        if self._options.releaser is not None and all(c.ok for c in found):
            found.append(releaser_check(self._api, self._target.name, now=self._clock.time()))
        return found

    def rbac(self, *, account: str = "gpujobs", cluster: bool = False) -> str:
        """A ServiceAccount with the Role that everything needs in the target's namespace, as YAML to apply.

        Raises:
            SpecError: ``account`` cannot be the name of a ServiceAccount.
        """
        if not is_subdomain(account):
            raise SpecError(
                f"account: {account!r} cannot be the name of a Kubernetes object.",
                next_step="Lower-case letters, digits, '-' and '.'.",
            )
        namespace = self._options.namespace or self._api.namespace
        releaser = self._options.releaser.service_account if self._options.releaser is not None else None
        return dump_all(_rbac.manifests(namespace, account=account, cluster=cluster, releaser=releaser))
