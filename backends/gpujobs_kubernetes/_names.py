"""Names: from keys and hostile texts to what Kubernetes accepts, and back from objects to refs."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gpujobs.refs import Ref

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.backend import Submission

PREFIX = "gpujobs/"
ID = "gpujobs/id"
"""Label on the object and on its pods: the object's name. What every question selects by."""
KIND = "gpujobs/kind"
MANAGED_BY = "app.kubernetes.io/managed-by"
NAME_LABEL = "app.kubernetes.io/name"
MANAGED = {MANAGED_BY: "gpujobs"}

KEY = "gpujobs/key"
"""Annotation: the idempotency key, as given."""
SPEC = "gpujobs/spec"
"""Annotation: the hash of what the workload means."""
NAME = "gpujobs/name"
"""Annotation: the name as the user wrote it."""
LABELS = "gpujobs/labels"
"""Annotation: the user's labels as JSON, legal for Kubernetes or not."""
HOLD = "gpujobs/hold"
"""Annotation: why gpujobs itself keeps the object suspended: ``children``, ``after``."""
AFTER = "gpujobs/after"
DEADLINE = "gpujobs/deadline"
WAITS = "gpujobs/waits"
"""Label of a Job that waits for others, so that those can be asked for alone."""
START_TIMEOUT = "gpujobs/start-timeout"
REPLICAS = "gpujobs/replicas"
"""Annotation of a Deployment that is not released yet: how many copies it is to have."""
ENDED = "gpujobs/ended"
"""Annotation: why gpujobs ends the object: a reason code, then a sentence."""

JOB_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
QUEUE = "kueue.x-k8s.io/queue-name"

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_SERVICE_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
# What the reference grammar of image names takes, loosely: the registry is the last judge.
_IMAGE = re.compile(
    r"[a-z0-9]([a-z0-9._:-]*[a-z0-9])?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    re.ASCII | re.IGNORECASE,
)
_OWNED = ("batch.kubernetes.io/", "controller-uid", "job-name", "pod-template-hash")
_MAX_LABEL = 63
_MAX_SUBDOMAIN = 253
_SLUG = 36
_MAX_SERVICE_NAME = 50
_ELEMENT_PARTS = 4

Kind = Literal["job", "service"]


def slug(text: str, longest: int = _SLUG) -> str:
    """The part of a text that a DNS label may hold: lower case, ``-`` for the rest; may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:longest].rstrip("-")


def job_name(key: str) -> str:
    """The name of the Job of a key: the same key, the same name, so the API server itself refuses a second.

    At most 51 characters, which leaves room for ``-INDEX`` in the host name and the suffix of a pod.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    head = slug(key)
    return f"{head if head[:1].isalpha() else f'job-{head}' if head else 'job'}-{digest}"


def service_name(key: str) -> str:
    """The name of the Deployment and Service of a GpuService: its own name where that is a legal one."""
    if len(key) <= _MAX_SERVICE_NAME and _SERVICE_LABEL.fullmatch(key):
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    head = slug(key)
    return f"{head if head[:1].isalpha() else f'service-{head}' if head else 'service'}-{digest}"


def object_name(item: Submission) -> str:
    """The name of the object that a submission becomes."""
    return job_name(item.key) if item.spec.kind == "job" else service_name(item.key)


def is_label_value(text: str) -> bool:
    """Whether Kubernetes takes it as the value of a label."""
    return len(text) <= _MAX_LABEL and _VALUE.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """Whether Kubernetes takes it as the key of a label."""
    prefix, slash, name = text.rpartition("/")
    if slash and not (len(prefix) <= _MAX_SUBDOMAIN and _SUBDOMAIN.fullmatch(prefix)):
        return False
    return 0 < len(name) <= _MAX_LABEL and _VALUE.fullmatch(name) is not None


def is_dns_label(text: str) -> bool:
    """Whether it is a DNS-1123 label, as a namespace or an Indexed Job's name has to be."""
    return len(text) <= _MAX_LABEL and _LABEL.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """Whether it is a DNS-1123 subdomain, as most objects' names have to be."""
    return len(text) <= _MAX_SUBDOMAIN and _SUBDOMAIN.fullmatch(text) is not None


def is_image(text: str) -> bool:
    """Whether it can be the name of a container image."""
    return _IMAGE.fullmatch(text) is not None


def legal_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Those of a user's labels that can be Kubernetes labels too; the annotation keeps all of them."""
    return {
        k: v
        for k, v in labels.items()
        if is_label_key(k)
        and is_label_value(v)
        and not k.startswith((PREFIX, *_OWNED))
        and k not in {MANAGED_BY, NAME_LABEL}
    }


def metadata(item: Submission, namespace: str) -> dict[str, Any]:
    """Name, labels and annotations of the object that a submission becomes."""
    name = object_name(item)
    annotations = {KEY: item.key, SPEC: item.spec_hash}
    if item.spec.name is not None:
        annotations[NAME] = item.spec.name
    if item.spec.labels:
        annotations[LABELS] = json.dumps(item.spec.labels, sort_keys=True, ensure_ascii=False)
    return {"name": name, "namespace": namespace, "labels": labels(item), "annotations": annotations}


def labels(item: Submission) -> dict[str, str]:
    """The labels of the object and of its pods."""
    own = {ID: object_name(item), KIND: item.spec.kind, **MANAGED}
    if item.spec.name and slug(item.spec.name):
        own[NAME_LABEL] = slug(item.spec.name)
    return {**legal_labels(item.spec.labels), **own}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the object of a ref is: ``NAMESPACE/job/NAME[/INDEX]`` or ``NAMESPACE/service/NAME``."""

    namespace: str
    kind: Kind
    name: str
    index: int | None = None

    @property
    def whole(self) -> Place:
        """The place of the array that an element belongs to."""
        return self if self.index is None else Place(self.namespace, self.kind, self.name)


def place_of(ref: Ref) -> Place | None:
    """Where the object of a ref is, or None where no object can have such an id."""
    parts = ref.id.split("/")
    index = None
    if len(parts) == _ELEMENT_PARTS and parts[1] == "job" and parts[3].isascii() and parts[3].isdigit():
        index = int(parts.pop())
    if len(parts) != _ELEMENT_PARTS - 1 or parts[1] not in {"job", "service"}:
        return None
    namespace, kind, name = parts
    if not (is_dns_label(namespace) and is_subdomain(name)):
        return None
    return Place(namespace, "job" if kind == "job" else "service", name, index)


def ref_to(backend: str, target: str, place: Place) -> Ref:
    """The ref of an object."""
    element = "" if place.index is None else f"/{place.index}"
    return Ref(backend, target, f"{place.namespace}/{place.kind}/{place.name}{element}")
