"""The other clients, where they are installed (``pip install lightkube kr8s``), used as they document it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _kubernetes import Site

SELECTOR = {"app.kubernetes.io/managed-by": "gpujobs"}
PAGE = 500


def creators(site: Site) -> Iterator[tuple[str, Callable[[dict[str, Any]], object]]]:
    """(name, how it makes a Job from a manifest)."""
    official = _official(site)
    yield "kubernetes", lambda body: official.BatchV1Api().create_namespaced_job(site.namespace, body)
    lightkube = _lightkube(site)
    if lightkube is not None:
        job = importlib.import_module("lightkube.resources.batch_v1").Job
        yield "lightkube", lambda body: lightkube.create(job.from_dict(body))
    kr8s, api = _kr8s(site)
    if kr8s is not None:
        yield "kr8s", lambda body: kr8s.objects.Job(body, api=api).create()


def listers(site: Site) -> Iterator[tuple[str, Callable[[], object]]]:
    """(name, how it lists all Jobs and Pods of gpujobs, decoded)."""
    official = _official(site)
    chosen = ",".join(f"{k}={v}" for k, v in SELECTOR.items())

    def pages(call: Callable[..., Any]) -> None:
        more: str | None = None
        while more != "":
            page = call(site.namespace, label_selector=chosen, limit=PAGE, _continue=more)
            more = page.metadata._continue or ""

    def both() -> None:
        pages(official.BatchV1Api().list_namespaced_job)
        pages(official.CoreV1Api().list_namespaced_pod)

    yield "kubernetes", both
    lightkube = _lightkube(site)
    if lightkube is not None:
        kinds = (
            importlib.import_module("lightkube.resources.batch_v1").Job,
            importlib.import_module("lightkube.resources.core_v1").Pod,
        )
        yield "lightkube", lambda: [list(lightkube.list(kind, labels=SELECTOR, chunk_size=PAGE)) for kind in kinds]
    kr8s, api = _kr8s(site)
    if kr8s is not None:
        yield "kr8s", lambda: [list(kr8s.get(k, label_selector=SELECTOR, api=api)) for k in ("jobs", "pods")]


def readers(site: Site, pod: str) -> Iterator[tuple[str, Callable[[], Iterator[object]]]]:
    """(name, how it follows the log of a pod)."""
    lightkube = _lightkube(site)
    if lightkube is not None:
        yield "lightkube", lambda: lightkube.log(pod, follow=True)
    kr8s, api = _kr8s(site)
    if kr8s is not None:
        found = kr8s.objects.Pod.get(pod, api=api)
        yield "kr8s", lambda: found.logs(follow=True)


def _official(site: Site) -> Any:
    importlib.import_module("kubernetes.config").load_kube_config(site.kubeconfig)
    return importlib.import_module("kubernetes.client")


def _lightkube(site: Site) -> Any:
    try:
        lightkube = importlib.import_module("lightkube")
    except ImportError:
        return None
    config = lightkube.KubeConfig.from_file(site.kubeconfig).get()
    return lightkube.Client(config=config, namespace=site.namespace)


def _kr8s(site: Site) -> tuple[Any, Any]:
    try:
        kr8s = importlib.import_module("kr8s")
    except ImportError:
        return None, None
    importlib.import_module("kr8s.objects")
    return kr8s, kr8s.api(kubeconfig=site.kubeconfig, namespace=site.namespace)
