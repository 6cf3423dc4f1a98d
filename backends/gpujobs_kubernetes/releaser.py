"""``python -m gpujobs_kubernetes.releaser``: the pod that starts jobs with ``after`` while no client is there.

It does nothing that a client which looks at these jobs would not do, by the same code, and as safely beside any number
of them: a job is woken only in the version that was looked at. When nothing waits, it removes its own Deployment.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gpujobs.backend import Runtime, Target
from gpujobs.errors import GpuJobsError, NotFoundError, UnavailableError
from gpujobs_kubernetes._api import DEPLOYMENTS, path
from gpujobs_kubernetes._looking import Looking
from gpujobs_kubernetes._lookup import Found, find_waiting
from gpujobs_kubernetes._names import place_of
from gpujobs_kubernetes._options import KubernetesOptions
from gpujobs_kubernetes._release import upstreams
from gpujobs_kubernetes._releaser import NAME
from gpujobs_kubernetes._releasing import retire

if TYPE_CHECKING:
    from gpujobs_kubernetes._views import JobView

_log = logging.getLogger("gpujobs_kubernetes.releaser")
_ROUND_S = 10.0
"""Jobs that began to wait meanwhile are seen after so long at most; ends of what is waited for are seen at once."""
_PAUSE_S = 0.5
_RETRY_S = 5.0
_REMOVAL_S = 60.0


class Releaser(Looking):
    """Starts the jobs of one namespace whose turn has come, until none waits."""

    def __init__(self, target: Target, runtime: Runtime) -> None:
        self._set_up(target, runtime)
        self._start_looking()

    def run(self) -> None:
        """Go on until nothing waits and the Deployment of this pod is gone.

        Raises:
            GpuJobsError: The API server refuses what it is asked; not being able to answer is waited out.
        """
        while not self._round():
            self._clock.sleep(_PAUSE_S)

    def _round(self) -> bool:
        """Look once and wait for news; True at the end."""
        try:
            own = self._api.get(path(DEPLOYMENTS, self._api.namespace, NAME), patient=False)
        except NotFoundError:
            return True
        except UnavailableError as e:
            return self._wait_out(e)
        try:
            found = self._mine(find_waiting(self._api, self._api.namespace))
            if not found.jobs:
                return retire(self._api, own)
            self._attend(found, self._clock.time(), set())
        except UnavailableError as e:
            return self._wait_out(e)
        self.wait_change([self._ref(place) for place in found.jobs], _ROUND_S)
        return False

    def _wait_out(self, error: UnavailableError) -> bool:
        _log.warning("%s", error)
        self._clock.sleep(_RETRY_S)
        return False

    def _mine(self, found: Found) -> Found:
        """Those that wait for jobs of this namespace only: beyond it a releaser sees nothing."""
        return Found(jobs={place: view for place, view in found.jobs.items() if self._sees(view)})

    def _sees(self, view: JobView) -> bool:
        places = [place_of(ref) for _, ref in upstreams(view)]
        return bool(places) and all(p is None or p.namespace == view.namespace for p in places)


def _leave(*_: object) -> NoReturn:
    sys.exit(0)


def main() -> int:
    """Release until nothing waits; the exit code."""
    signal.signal(signal.SIGTERM, _leave)  # as process 1 it would ignore TERM
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    target = Target("kubernetes", "kubernetes", KubernetesOptions(in_cluster=True))
    try:
        Releaser(target, Runtime(state_dir=Path())).run()
    except GpuJobsError as e:
        _log.error("%s", e)  # the message is for whoever runs the cluster; a traceback says no more
        return 1
    _log.info("Nothing waits any more.")
    time.sleep(_REMOVAL_S)  # the pod is being removed; ending earlier would only have the kubelet start it again
    return 0


if __name__ == "__main__":
    sys.exit(main())
