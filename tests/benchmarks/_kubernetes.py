"""The figures of the Kubernetes backend, in one run on a namespace of its own."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from _kubernetes_logs import logs
from _kubernetes_looking import end_to_wait, looking
from _kubernetes_submitting import submit_many, submit_one

from gpujobs import Client, Config
from gpujobs.backend import SystemClock
from gpujobs_kubernetes import KubernetesOptions
from gpujobs_kubernetes._api import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from _measure import Figure

PARTS = ("submit", "many", "end", "logs", "statuses")


@dataclass(frozen=True)
class Site:
    """Where it is measured, and with what.

    Attributes:
        api: The backend's own edge, for bare requests with the same library over a kept-alive connection.
        kubectl: The start of a kubectl command in the namespace.
    """

    kubeconfig: str
    namespace: str
    client: Client
    api: Api
    kubectl: tuple[str, ...]
    config: str


@contextmanager
def _site(kubeconfig: str, kubectl: str, image: str) -> Generator[Site]:
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    table = f'[targets.k]\nbackend = "kubernetes"\nkubeconfig = "{kubeconfig}"\nnamespace = "{namespace}"'
    config = f'default = "k"\n{table}\n[targets.k.defaults]\nimage = "{image}"\n'
    api = Api(KubernetesOptions(kubeconfig=kubeconfig, namespace=namespace), SystemClock())
    api.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    time.sleep(2)  # pods are refused until the namespace has its account
    command = (kubectl, "--kubeconfig", kubeconfig, "-n", namespace)
    with ExitStack() as stack:
        stack.callback(api.close)
        stack.callback(api.delete, f"/api/v1/namespaces/{namespace}")
        client = stack.enter_context(Client(Config.parse(config), state_dir=Path(tempfile.mkdtemp())))
        yield Site(kubeconfig, namespace, client, api, command, config)


def main() -> None:
    """Print the figures as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kubeconfig", help="of a cluster that can run IMAGE, such as tests/live/kubernetes/bed")
    parser.add_argument("--pairs", type=int, default=200, help="how often each is measured; 200 for figures to publish")
    parser.add_argument("--jobs", type=int, default=10_000, help="of how many the statuses are asked")
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("--image", default="gpujobs-testbed/python:1", help="an image that has python3")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    asked = parser.parse_args()
    with _site(asked.kubeconfig, asked.kubectl, asked.image) as site:
        version = site.api.get("/version")["gitVersion"]
        print(f"Python {sys.version.split()[0]}, Kubernetes {version}, {asked.pairs} pairs, medians")
        measured: dict[str, Callable[[], Iterable[Figure]]] = {
            "submit": lambda: submit_one(site, asked.pairs),
            "many": lambda: submit_many(site, 1000),
            "end": lambda: end_to_wait(site, 12),
            "logs": lambda: logs(site, 6),
            "statuses": lambda: looking(site, asked.jobs, 5),
        }
        for part in PARTS:
            if part in asked.only:
                for figure in measured[part]():
                    print(figure, flush=True)
