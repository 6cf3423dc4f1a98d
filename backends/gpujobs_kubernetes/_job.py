"""A GpuJob as a ``batch/v1`` Job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs_kubernetes._names import AFTER, DEADLINE, HOLD, QUEUE, START_TIMEOUT, WAITS, metadata, object_name
from gpujobs_kubernetes._pod import seconds, template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.backend import Submission
    from gpujobs.specs import GpuJob
    from gpujobs_kubernetes._facts import Facts, Site

DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]


def job_manifest(
    item: Submission, spec: GpuJob, site: Site, *, inherited: Mapping[str, str], held: bool
) -> dict[str, Any]:
    """The Job; suspended where it waits for other jobs or for its own children (``held``)."""
    meta = metadata(item, site.namespace)
    if spec.after:
        meta["labels"][WAITS] = "after"
        meta["annotations"][AFTER] = "\n".join(f"{a.when}:{a.ref}" for a in spec.after)
    if spec.deadline is not None:
        meta["annotations"][DEADLINE] = str(seconds(spec.deadline))
    if spec.start_timeout is not None:
        meta["annotations"][START_TIMEOUT] = str(seconds(spec.start_timeout))
    if held or spec.after:
        meta["annotations"][HOLD] = "children" if held else "after"
    if spec.queue is not None:
        meta["labels"][QUEUE] = spec.queue
    body: dict[str, Any] = {**_counts(spec), **_retries(spec, site.facts)}
    if held or spec.after:
        body["suspend"] = True
    if spec.deadline is not None:
        body["activeDeadlineSeconds"] = seconds(spec.deadline)
    body["template"] = template(item, site, child=object_name(item), inherited=inherited)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": body}


def _counts(spec: GpuJob) -> dict[str, Any]:
    """Every Job is Indexed: only then does a pod know which attempt it is."""
    copies = spec.array if spec.array is not None else spec.nodes
    at_once = min(spec.parallelism or copies, copies) if spec.array is not None else copies
    return {"completions": copies, "parallelism": at_once, "completionMode": "Indexed"}


def _retries(spec: GpuJob, facts: Facts) -> dict[str, Any]:
    copies = spec.array if spec.array is not None else 1
    found: dict[str, Any] = {}
    if facts.per_index:
        found["backoffLimitPerIndex"] = spec.retries
        if spec.nodes > 1:
            found["maxFailedIndexes"] = 0  # a gang without one of its nodes is lost
    else:
        found["backoffLimit"] = spec.retries * copies
    if facts.failure_policy:
        # Eviction, preemption and node loss are not the job's fault, so they do not use up its retries.
        lost = "Ignore" if spec.requeue is not False else "FailIndex" if facts.per_index else "FailJob"
        found["podFailurePolicy"] = {"rules": [{"action": lost, "onPodConditions": DISRUPTED}]}
        found["podReplacementPolicy"] = "Failed"
    return found
