"""What is counted: requests by the API server (``apiserver_request_total``, and those still open), our own memory."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.live.kubernetes.conftest import Bed

_SAMPLE = re.compile(r"(apiserver_request_total|apiserver_longrunning_requests)\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_WORKLOADS = {"jobs", "deployments", "pods", "events", "services", "secrets", "configmaps"}


def served(bed: Bed) -> Counter[str]:
    """How often the server was asked for workloads so far: ``LIST pods``, ``CONNECT pods/log`` and so on.

    Left out is what the cluster asks by itself, which it does over all namespaces or about one object: only clients
    list and watch one namespace, change Jobs, and read logs. A request is counted when it ends, so open ones are added.
    """
    found: Counter[str] = Counter()
    for _, text, value in _SAMPLE.findall(bed.kubectl("get", "--raw", "/metrics")):
        label = dict(_LABEL.findall(text))
        if _a_clients(label):
            sub = f"/{label['subresource']}" if label["subresource"] else ""
            found[f"{label['verb']} {label['resource']}{sub}"] += round(float(value))
    return found


def _a_clients(label: dict[str, str]) -> bool:
    resource, sub, scope = label["resource"], label["subresource"], label["scope"]
    if resource not in _WORKLOADS or sub not in {"", "log"}:
        return False
    return scope == "namespace" or sub == "log" or (resource == "jobs" and scope == "resource")


def quiet(bed: Bed) -> Counter[str]:
    """The count to begin with, once the namespaces of other tests are gone: their removal lists what is in them."""
    bed.until(lambda: "Terminating" not in bed.kubectl("get", "namespaces"), 120)
    return served(bed)


def memory() -> int:
    """The resident memory of this process, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000
