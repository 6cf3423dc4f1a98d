"""The fields of the models as type checkers see them: what a user may write, not what it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from typing_extensions import TypedDict

if TYPE_CHECKING:
    from pathlib import Path

    from gpujobs.gpu import Gpu
    from gpujobs.parts import After, Port, Probe, Rollout, Secret, Toleration, Volume
    from gpujobs.refs import Ref

Span: TypeAlias = timedelta | float | str
Bytes: TypeAlias = int | str
Strings: TypeAlias = Sequence[str] | str


class WorkloadFields(TypedDict, total=False):
    """What jobs and services share, but for the command."""

    name: str | None
    args: Strings
    script: str | None
    setup: Strings
    workdir: str | None
    env: Mapping[str, str]
    inherit_env: Strings
    secrets: Sequence[Secret | str] | Secret | str
    files: Mapping[str, str | bytes | Path]
    volumes: Sequence[Volume | str] | Volume | str
    labels: Mapping[str, str]
    gpus: Gpu | int | str | None
    cpus: float | None
    memory: Bytes | None
    shm: Bytes | None
    disk: Bytes | None
    image: str | None
    image_optional: bool
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None
    image_pull_secrets: Strings
    runtime_class: str | None
    queue: str | None
    account: str | None
    qos: str | None
    priority: int | str | None
    constraint: str | None
    exclude: Strings
    node_selector: Mapping[str, str]
    tolerations: Sequence[Toleration]
    service_account: str | None
    security_context: Mapping[str, Any]
    time_limit: Span | None
    start_timeout: Span | None
    grace: Span
    output: str | None
    error: str | None
    extra: Mapping[str, Any]


class JobFields(WorkloadFields, total=False):
    """The fields of a GpuJob, but for the command."""

    nodes: int
    tasks_per_node: int
    array: int | None
    parallelism: int | None
    deadline: Span | None
    retries: int
    requeue: bool | None
    after: Sequence[After | Ref | str] | After | Ref | str


class ServiceFields(WorkloadFields, total=False):
    """The fields of a GpuService, but for the command."""

    replicas: int
    ports: Sequence[Port | int] | Port | int
    readiness: Probe | str | None
    liveness: Probe | str | None
    startup: Probe | str | None
    expose: Literal["none", "cluster-ip", "node-port", "headless"] | None
    rollout: Rollout | None
