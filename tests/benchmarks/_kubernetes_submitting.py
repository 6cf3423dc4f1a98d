"""Submissions, beside a bare POST, ``kubectl create`` and other clients."""

from __future__ import annotations

import subprocess
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING

import yaml
from _kubernetes_peers import creators
from _measure import Figure, pairs, timed

from gpujobs import GpuJob
from gpujobs_kubernetes._api import JOBS, path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _kubernetes import Site

    from gpujobs_kubernetes._api import Table

ASLEEP = GpuJob(command=["true"], extra={"kubernetes": {"spec": {"suspend": True}}})
_KUBECTL = 100


def manifest(site: Site) -> Table:
    """What a submission of a sleeping job sends."""
    found: Table = yaml.safe_load(site.client.render(ASLEEP))
    return found


def _by(create: Callable[[Table], object], body: Table) -> None:
    body["metadata"]["name"] = f"bare-{uuid.uuid4().hex[:12]}"
    create(body)


def submit_one(site: Site, count: int) -> Iterator[Figure]:
    """One submission and one bare POST in turns; then other clients' way to make the same Job."""
    where = path(JOBS, site.namespace)
    body = manifest(site)
    post = partial(_by, partial(site.api.post, where), body)
    ours, theirs = pairs(lambda: site.client.submit(ASLEEP), post, count)
    yield Figure("one submit / one POST", ours / theirs, "x", 1.3, f"{ours:.2f} ms, a bare POST {theirs:.2f} ms")
    for name, create in creators(site):
        ours, theirs = pairs(lambda: site.client.submit(ASLEEP), partial(_by, create, body), count // 2)
        yield Figure(f"one submit / {name}", ours / theirs, "x", None, f"{ours:.2f} ms, {name} {theirs:.2f} ms")


def submit_many(site: Site, count: int) -> Iterator[Figure]:
    """Many jobs at once, beside a loop of ``kubectl create`` before and after."""
    texts = [yaml.safe_dump(manifest(site)).encode() for _ in range(_KUBECTL)]
    half = _KUBECTL // 2
    kubectl = sum(_create(site, text) for text in texts[:half])
    began = time.perf_counter()
    site.client.submit_many([ASLEEP] * count)
    each = (time.perf_counter() - began) * 1000 / count
    kubectl = (kubectl + sum(_create(site, text) for text in texts[half:])) / _KUBECTL
    detail = f"{each:.2f} ms each, of {_KUBECTL} kubectl create {kubectl:.0f} ms each"
    yield Figure(f"{count} jobs / kubectl create", each / kubectl, "x", 0.2, detail)


def _create(site: Site, text: bytes) -> float:
    command = [*site.kubectl, "create", "-f", "-"]
    return timed(lambda: subprocess.run(command, input=text, check=True, stdout=subprocess.DEVNULL))
