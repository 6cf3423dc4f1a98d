"""What all parts of the backend share: the API, the watches, the facts, and from refs to places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs.environment import variables
from gpujobs.errors import NotFoundError
from gpujobs_kubernetes._api import Api
from gpujobs_kubernetes._facts import Site
from gpujobs_kubernetes._manifests import objects
from gpujobs_kubernetes._names import place_of
from gpujobs_kubernetes._options import KubernetesOptions
from gpujobs_kubernetes._probe import Prober
from gpujobs_kubernetes._watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.backend import Clock, Runtime, Submission, Target
    from gpujobs.refs import Ref
    from gpujobs_kubernetes._manifests import Objects
    from gpujobs_kubernetes._names import Place


class BackendBase:
    """The state of a backend."""

    _api: Api
    _clock: Clock
    _target: Target
    _watcher: Watcher
    _prober: Prober

    def _set_up(self, target: Target, runtime: Runtime) -> None:
        options = target.options if isinstance(target.options, KubernetesOptions) else KubernetesOptions()
        self._options = options
        self._target = target
        self._clock = runtime.clock
        self._api = Api(options, runtime.clock)
        self._watcher = Watcher(self._api, runtime.clock)
        self._prober = Prober(self._api, target, options, runtime.clock)

    def _site(self, *, gpus: bool) -> Site:
        """Where workloads are rendered for."""
        return Site(self._target.name, self._api.namespace, self._prober.facts(gpus=gpus), self._tolerations())

    def _tolerations(self) -> tuple[dict[str, Any], ...]:
        """Those of every pod."""
        return tuple(t.model_dump(exclude_none=True) for t in self._options.tolerations)

    def _objects(self, item: Submission, *, reveal: bool) -> Objects:
        """What a submission becomes; with ``reveal`` with the secrets' values."""
        secrets = {s.name: s.reveal() if reveal else f"<secret {s.name}>" for s in item.spec.secrets}
        return objects(item, self._site(gpus=item.spec.gpus is not None), inherited=_inherited(item), secrets=secrets)

    def _place(self, ref: Ref) -> Place:
        """Where the object of a ref is.

        Raises:
            NotFoundError: No object can have such an id.
        """
        place = place_of(ref)
        if place is None:
            raise NotFoundError(
                f"There is no {ref}.", next_step="A Kubernetes ref reads kubernetes://TARGET/NAMESPACE/job/NAME."
            )
        return place


def _inherited(item: Submission) -> Mapping[str, str]:
    """The variables of ``inherit_env``; names that the user sets as well are the user's."""
    taken = {s.name for s in item.spec.secrets}
    return {n: v for n, v in variables(item.spec.inherit_env).items() if n not in taken}
