"""Jobs and Pods as far as a status needs them: small and flat, so that ten thousand are cheap to keep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gpujobs_kubernetes import _names
from gpujobs_kubernetes._pod import CONTAINER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Table = dict[str, Any]
_NOTHING: Mapping[str, Any] = {}


def parse_time(text: str | None) -> datetime | None:
    """An aware datetime from ``2026-01-31T12:00:00Z``, None from None."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def parse_indexes(text: str | None) -> set[int]:
    """The numbers of ``1,3-5``, as a Job's status lists its indexes."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last or first) + 1))
    return found


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that holds."""

    reason: str
    message: str
    since: str | None


def _condition(told: Mapping[str, Any] | None, value: str = "True") -> Condition | None:
    """A condition of an object, if it is ``True`` (or another value)."""
    if told is None or told.get("status") != value:
        return None
    return Condition(told.get("reason") or "", told.get("message") or "", told.get("lastTransitionTime"))


def conditions(status: Mapping[str, Any], value: str = "True") -> dict[str, Condition]:
    """The conditions of an object that are ``True`` (or another value), by type."""
    return {
        c["type"]: Condition(c.get("reason") or "", c.get("message") or "", c.get("lastTransitionTime"))
        for c in status.get("conditions") or ()
        if c.get("status") == value
    }


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod: where it is, what its container does, how it ended."""

    name: str
    uid: str
    owner: str
    """The name of the Job or Deployment that it belongs to."""
    job_uid: str
    ending: str
    """Why gpujobs ends it alone: a reason code, then a sentence."""
    version: int
    phase: str
    node: str
    created: str
    deleting: str | None
    grace: int
    reason: str
    message: str
    unscheduled: Condition | None
    disrupted: Condition | None
    index: int
    attempt: int
    template: str
    ready: bool
    address: str
    host_address: str
    running_since: str | None
    waiting: str
    waiting_message: str
    exit_code: int | None
    ended: str
    """Why the container ended, in the kubelet's word: Completed, Error, OOMKilled, StartError..."""
    ended_message: str
    started_at: str | None
    ended_at: str | None
    restarts: int
    last_exit: int | None
    last_ended: str

    @property
    def over(self) -> bool:
        """Whether nothing of it can run any more."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def running(self) -> bool:
        """Whether its container runs, as far as the API server knows."""
        return self.phase == "Running" and self.running_since is not None


def pod_view(pod: Mapping[str, Any]) -> PodView:
    """A pod's view from its object."""
    meta, spec, status = pod["metadata"], pod.get("spec") or _NOTHING, pod.get("status") or _NOTHING
    notes, marks = meta.get("annotations") or _NOTHING, meta.get("labels") or _NOTHING
    told: dict[str, Mapping[str, Any]] = {c["type"]: c for c in status.get("conditions") or ()}
    main = _main(status)
    state = main.get("state") or _NOTHING
    waiting, running, ended = (state.get(k) or _NOTHING for k in ("waiting", "running", "terminated"))
    last = (main.get("lastState") or _NOTHING).get("terminated") or _NOTHING
    return PodView(
        name=meta["name"],
        uid=meta.get("uid", ""),
        owner=marks.get(_names.ID, ""),
        job_uid=marks.get(_names.JOB_UID, ""),
        ending=notes.get(_names.ENDED, ""),
        version=int(meta.get("resourceVersion") or 0),
        phase=status.get("phase") or "Pending",
        node=spec.get("nodeName") or "",
        created=meta.get("creationTimestamp") or "",
        deleting=meta.get("deletionTimestamp"),
        grace=meta.get("deletionGracePeriodSeconds") or 0,
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        unscheduled=_condition(told.get("PodScheduled"), "False"),
        disrupted=_condition(told.get("DisruptionTarget")),
        index=int(notes.get(_names.INDEX) or 0),
        attempt=int(notes.get(_names.FAILURES) or 0) + int(notes.get(_names.IGNORED) or 0),
        template=marks.get("pod-template-hash", ""),
        ready=told.get("Ready", _NOTHING).get("status") == "True",
        address=status.get("podIP") or "",
        host_address=status.get("hostIP") or "",
        running_since=running.get("startedAt"),
        waiting=waiting.get("reason") or "",
        waiting_message=waiting.get("message") or "",
        exit_code=ended.get("exitCode"),
        ended=ended.get("reason") or "",
        ended_message=ended.get("message") or "",
        started_at=next((began for part in (running, ended, last) if (began := _began(part))), None),
        ended_at=ended.get("finishedAt"),
        restarts=main.get("restartCount") or 0,
        last_exit=last.get("exitCode"),
        last_ended=last.get("reason") or "",
    )


def _began(part: Mapping[str, Any]) -> str | None:
    """When a container began; of one that could not be started the kubelet writes 1970."""
    found: str | None = part.get("startedAt")
    return None if found is None or found.startswith("1970-") else found


def _main(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status of our container; of an init container that waits in vain, where there is one before it."""
    before: Iterable[Mapping[str, Any]] = status.get("initContainerStatuses") or ()
    for container in before:
        waiting = (container.get("state") or _NOTHING).get("waiting") or _NOTHING
        if waiting.get("reason") not in {None, "PodInitializing"}:
            return container
    ours: Iterable[Mapping[str, Any]] = status.get("containerStatuses") or ()
    return next((c for c in ours if c.get("name") == CONTAINER), _NOTHING)


@dataclass(frozen=True, slots=True)
class JobView:
    """One Job."""

    name: str
    namespace: str
    uid: str
    version: int
    created: str
    deleting: bool
    title: str
    labels: dict[str, str]
    suspended: bool
    hold: str
    after: tuple[tuple[str, str], ...]
    deadline: int | None
    start_timeout: int | None
    ending: tuple[str, str] | None
    """(reason code, sentence) of an end that gpujobs itself asked for."""
    queue: str
    complete: Condition | None
    failed: Condition | None
    target: Condition | None
    """The outcome is decided, its pods are still ending."""
    started: str | None
    completed: str | None
    succeeded: int
    failures: int
    active: int
    done: str
    lost: str
    copies: int
    indexed: bool
    time_limit: int | None
    gang: bool
    retries: int

    @property
    def over(self) -> bool:
        """Whether Kubernetes has ended it."""
        return self.complete is not None or self.failed is not None


def _after(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (line.partition(":") for line in text.split("\n") if line)
    return tuple((when, ref) for when, _, ref in pairs)


def ending_note(text: str | None) -> tuple[str, str] | None:
    """(reason code, sentence) of an annotation that says why gpujobs ends something."""
    code, _, sentence = (text or "").partition(" ")
    return (code, sentence) if code else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def user_labels(meta: Mapping[str, Any]) -> dict[str, str]:
    """The labels as the user wrote them."""
    text = (meta.get("annotations") or _NOTHING).get(_names.LABELS)
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in found.items()} if found.__class__ is dict else {}


def job_view(job: Mapping[str, Any]) -> JobView:
    """A Job's view from its object."""
    meta, spec, status = job["metadata"], job.get("spec") or _NOTHING, job.get("status") or _NOTHING
    notes = meta.get("annotations") or _NOTHING
    holds = conditions(status)
    pods = (spec.get("template") or _NOTHING).get("spec") or _NOTHING
    return JobView(
        name=meta["name"],
        namespace=meta.get("namespace", ""),
        uid=meta.get("uid", ""),
        version=int(meta.get("resourceVersion") or 0),
        created=meta.get("creationTimestamp") or "",
        deleting="deletionTimestamp" in meta,
        title=notes.get(_names.NAME, ""),
        labels=user_labels(meta),
        suspended=bool(spec.get("suspend")),
        hold=notes.get(_names.HOLD, ""),
        after=_after(notes.get(_names.AFTER, "")),
        deadline=_number(notes.get(_names.DEADLINE)),
        start_timeout=_number(notes.get(_names.START_TIMEOUT)),
        ending=ending_note(notes.get(_names.ENDED)),
        queue=(meta.get("labels") or _NOTHING).get(_names.QUEUE, ""),
        complete=holds.get("Complete"),
        failed=holds.get("Failed"),
        target=holds.get("FailureTarget") or holds.get("SuccessCriteriaMet"),
        started=status.get("startTime"),
        completed=status.get("completionTime"),
        succeeded=status.get("succeeded") or 0,
        failures=status.get("failed") or 0,
        active=status.get("active") or 0,
        done=status.get("completedIndexes") or "",
        lost=status.get("failedIndexes") or "",
        copies=spec.get("completions") or 1,
        indexed=spec.get("completionMode") == "Indexed",
        time_limit=pods.get("activeDeadlineSeconds"),
        gang="subdomain" in pods,
        retries=spec.get("backoffLimitPerIndex", spec.get("backoffLimit")) or 0,
    )
