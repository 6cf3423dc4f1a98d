"""Ratios of the Kubernetes backend against the bare client: medians of interleaved pairs.

``python tests/benchmarks/kubernetes.py KUBECONFIG [PAIRS]`` needs a cluster that can run ``gpujobs-testbed/busybox:1``
(tests/live/kubernetes/bed).
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from gpujobs import Client, Config, GpuJob
from gpujobs.backend import Runtime, Target
from gpujobs_kubernetes import KubernetesBackend, KubernetesOptions
from gpujobs_kubernetes._api import JOBS, PODS, path

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs_kubernetes._api import Api

IMAGE = "gpujobs-testbed/busybox:1"
MANAGED = {"labelSelector": "app.kubernetes.io/managed-by=gpujobs"}


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def report(what: str, ours: list[float], bare: list[float], budget: float) -> None:
    """One line: medians, their ratio, the budget."""
    mine, theirs = statistics.median(ours), statistics.median(bare)
    verdict = "ok" if mine <= theirs * budget else "OVER"
    sys.stdout.write(
        f"{what}: {mine * 1e3:.1f} ms / {theirs * 1e3:.1f} ms = {mine / theirs:.2f} (<= {budget}) {verdict}\n"
    )


def submit_one(client: Client, api: Api, namespace: str, pairs: int) -> None:
    """One submit against one bare POST on a kept-alive connection."""
    body = json.loads(json.dumps(yaml.safe_load(client.render(GpuJob(command=["true"])))))
    body["spec"]["suspend"] = True
    asleep = GpuJob(command=["true"], extra={"kubernetes": {"spec": {"suspend": True}}})
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(pairs):
        body["metadata"]["name"] = f"bare-{uuid.uuid4().hex[:10]}"
        bare.append(timed(lambda: api.post(path(JOBS, namespace), body)))
        ours.append(timed(lambda: client.submit(asleep)))
    report("one submit / one bare POST", ours, bare, 1.3)


def submit_many(client: Client, namespace: str, kubeconfig: str, count: int = 200) -> None:
    """Many jobs against a loop of ``kubectl create``."""
    specs = [GpuJob(command=["true"], extra={"kubernetes": {"spec": {"suspend": True}}}) for _ in range(count)]
    ours = timed(lambda: client.submit_many(specs)) / count
    kubectl = os.environ.get("KUBECTL", "kubectl")
    texts = [client.render(specs[0], idempotency_key=f"kubectl-{i}") for i in range(10)]
    command = [kubectl, "--kubeconfig", kubeconfig, "-n", namespace, "create", "-f", "-"]

    def create(text: str) -> None:
        subprocess.run(command, input=text.encode(), check=True, capture_output=True)

    theirs = [timed(functools.partial(create, text)) for text in texts]
    report(f"{count} jobs, each / kubectl create", [ours], theirs, 0.2)


def statuses(client: Client, api: Api, namespace: str, pairs: int) -> None:
    """Statuses of all jobs against the paged LISTs of Jobs and Pods."""
    refs = [s.ref for s in client.list_jobs(finished=True)]

    def lists() -> None:
        for collection in (JOBS, PODS):
            for _ in api.pages(path(collection, namespace), MANAGED):
                pass

    ours: list[float] = []
    bare: list[float] = []
    for _ in range(pairs):
        bare.append(timed(lists))
        ours.append(timed(lambda: client.status(refs)))
    report(f"statuses of {len(refs)} jobs / paged LISTs", ours, bare, 1.3)


def end_to_wait(client: Client, rounds: int = 5) -> None:
    """From the end of a job to the return of ``wait()``; Kubernetes records ends in whole seconds."""
    late: list[float] = []
    for _ in range(rounds):
        ended = client.submit(["sleep", "2"]).wait(timeout=60).ended_at
        late.append(time.time() - (ended.timestamp() if ended else 0.0))
    sys.stdout.write(f"end -> wait(): {statistics.median(late):.2f} s, of which up to 1 s is rounding\n")


def main() -> None:
    """Run all on a namespace of its own."""
    kubeconfig, pairs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    options = KubernetesOptions(kubeconfig=kubeconfig, namespace=namespace)
    state = Path(tempfile.mkdtemp())
    backend = KubernetesBackend(Target("k", "kubernetes", options), Runtime(state))
    api = backend._api  # the bare calls go over the same connections
    lines = (
        f'default = "k"\n[targets.k]\nbackend = "kubernetes"\nkubeconfig = "{kubeconfig}"\nnamespace = "{namespace}"\n'
    )
    api.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    time.sleep(1)
    try:
        with Client(Config.parse(f'{lines}[targets.k.defaults]\nimage = "{IMAGE}"\n'), state_dir=state) as client:
            submit_one(client, api, namespace, pairs)
            submit_many(client, namespace, kubeconfig)
            statuses(client, api, namespace, 20)
            end_to_wait(client)
    finally:
        api.delete(f"/api/v1/namespaces/{namespace}")
        backend.close()


if __name__ == "__main__":
    main()
