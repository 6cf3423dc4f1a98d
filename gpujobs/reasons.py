"""Why a workload waits or failed: a closed set of codes, each with a sentence and a next step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Cause", "Reason"]


class Reason(str, Enum):
    """Why a workload is in its state. Closed: a backend maps every vendor word to one of these."""

    # Waiting
    STARTING = "starting"
    QUEUED = "queued"
    INSUFFICIENT_GPU = "insufficient-gpu"
    INSUFFICIENT_RESOURCES = "insufficient-resources"
    PRIORITY = "priority"
    QUOTA = "quota"
    UNSCHEDULABLE = "unschedulable"
    DEPENDENCY = "dependency"
    ARRAY_LIMIT = "array-limit"
    HELD = "held"
    BEGIN_TIME = "begin-time"
    REQUEUED = "requeued"
    RESERVATION = "reservation"
    LICENSES = "licenses"
    PARTITION_DOWN = "partition-down"
    PARTITION_LIMIT = "partition-limit"
    NODE_UNAVAILABLE = "node-unavailable"
    ACCOUNT = "account"
    IMAGE_PULL = "image-pull"
    CONFIG = "config"
    VOLUME = "volume"
    ADMISSION = "admission"
    NOT_READY = "not-ready"
    CRASH_LOOP = "crash-loop"
    STOPPING = "stopping"
    PAUSED = "paused"
    # Ended
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    OOM = "oom"
    TIMEOUT = "timeout"
    DEADLINE = "deadline"
    START_TIMEOUT = "start-timeout"
    CANCELLED = "cancelled"
    PREEMPTED = "preempted"
    EVICTED = "evicted"
    NODE_FAIL = "node-fail"
    LAUNCH_FAILED = "launch-failed"
    DUPLICATE = "duplicate"
    DELETED = "deleted"
    LOST = "lost"
    # We could not ask, or the vendor's word is new to us
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Cause:
    """What ``Status.reason`` holds: a code for programs, a sentence and a next step for a person."""

    code: Reason
    message: str
    next: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.next}".strip()
