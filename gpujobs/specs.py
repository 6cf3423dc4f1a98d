"""``GpuJob`` and ``GpuService``: what a user writes. One definition for every backend."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from gpujobs._content import FileContent
from gpujobs._model import Amount, Count, EnvName, Integer, Model, NonNegative, Text, Words
from gpujobs.errors import SpecError
from gpujobs.gpu import Gpu
from gpujobs.parts import After, Port, Probe, Rollout, Secret, Toleration, Volume
from gpujobs.units import Duration, Memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema
    from typing_extensions import Unpack

    from gpujobs._fields import JobFields, ServiceFields

__all__ = ["AnyWorkload", "FileContent", "GpuJob", "GpuService", "Gpus", "Workload"]


_W = TypeVar("_W", bound="Workload")
_log = logging.getLogger(__name__)


def _several(value: Any) -> Any:
    """One thing where several are meant counts as one."""
    return value if value.__class__ in {list, tuple, set, frozenset} else (value,)


def _no_gpu(value: Any) -> Any:
    return None if value.__class__ is int and value == 0 else value


class _OneOrSeveral(BeforeValidator):
    """One thing where several are meant, in the schema too."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        several = handler(core)
        return {"anyOf": [several["items"], several]}


_LIST = _OneOrSeveral(_several)
_NO_GPU = BeforeValidator(_no_gpu)
Gpus = Annotated[Gpu | None, _NO_GPU]
_GRACE = timedelta(seconds=30)


class Workload(Model):
    """What jobs and services share. ``gpus``, ``cpus`` and ``memory`` are per node (on Kubernetes: per pod)."""

    # Nobody makes one of these itself, so its own validator, which costs start-up time, is not built.
    model_config = ConfigDict(defer_build=True)

    name: Text | None = Field(default=None, min_length=1, max_length=131_072)
    command: Words = ()
    args: Words = ()
    script: Text | None = None
    setup: Words = ()
    workdir: Text | None = None
    env: dict[EnvName, Text] = Field(default_factory=dict, json_schema_extra={"additionalProperties": False})
    inherit_env: Words = ()
    secrets: Annotated[tuple[Secret, ...], _LIST] = ()
    files: dict[Text, FileContent] = Field(default_factory=dict)
    volumes: Annotated[tuple[Volume, ...], _LIST] = ()
    labels: dict[Text, Text] = Field(default_factory=dict)

    gpus: Gpus = None
    cpus: Amount | None = None
    memory: Memory | None = None
    shm: Memory | None = None
    disk: Memory | None = None

    image: Text | None = None
    image_optional: bool = False
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    image_pull_secrets: Words = ()
    runtime_class: Text | None = None

    queue: Text | None = None
    account: Text | None = None
    qos: Text | None = None
    priority: Integer | Text | None = None
    constraint: Text | None = None
    exclude: Words = ()
    node_selector: dict[Text, Text] = Field(default_factory=dict)
    tolerations: Annotated[tuple[Toleration, ...], _LIST] = ()
    service_account: Text | None = None
    security_context: dict[str, Any] = Field(default_factory=dict)

    time_limit: Duration | None = None
    start_timeout: Duration | None = None
    grace: Duration = Field(default=_GRACE, json_schema_extra={"default": "30s"})
    output: Text | None = None
    error: Text | None = None
    extra: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_command(self) -> Workload:
        if self.command and self.script is not None:
            raise ValueError("command and script are both given: keep one")
        if not self.command and self.script is None:
            if self.args:
                raise ValueError("args are given without a command or a script")
            if self.image is None:
                raise ValueError("command is empty: give command=['nvidia-smi'], or script='...'")
        if self.command and not self.command[0]:
            raise ValueError("command starts with an empty word: its first word is the program to run")
        return self

    @model_validator(mode="after")
    def _check_files(self) -> Workload:
        for path in self.files:
            if not path or ".." in PurePosixPath(path).parts or path.endswith("/"):
                raise ValueError(f"files: {path!r} is not a path of a file below the job's files directory")
        return self

    @model_validator(mode="after")
    def _check_names(self) -> Workload:
        for name in self.inherit_env:
            if not name or "=" in name:
                raise ValueError(f"inherit_env: {name!r} is not a variable's name, nor 'venv'")
        twice = {s.name for s in self.secrets} & set(self.env)
        if twice:
            raise ValueError(f"{min(twice)!r} is given both in env and as a secret: keep one")
        return self


def _read(cls: type[_W], backend: str, path: str | os.PathLike[str]) -> _W:
    """A workload of the wanted kind from another system's file; what was lost is logged."""
    from gpujobs.formats import read_native  # noqa: PLC0415  # which reads these models

    workload, lost = read_native(backend, path)
    if not isinstance(workload, cls):
        raise SpecError(
            f"{os.fspath(path)} describes a {type(workload).__name__}, not a {cls.__name__}.",
            next_step=f"Read it with {type(workload).__name__}.from_manifest.",
        )
    for line in lost:
        _log.warning("%s: not expressed: %s", os.fspath(path), line)
    return workload


class GpuJob(Workload):
    """A workload that runs to completion.

    Attributes:
        command: The program and its words; no shell sees them. Or ``script``: the text of a script for ``/bin/sh`` (or
            the program of its ``#!`` line).
        args: More words after ``command`` or ``script``.
        setup: Shell lines run before the command (modules, virtual environments).
        files: Files put beside the job: path below ``$GPUJOBS_FILES`` (absolute: Kubernetes only) -> content.
        inherit_env: Names of variables of the submitting environment to pass on; ``venv`` means the active virtual
            or conda environment.
        nodes: On how many nodes at once; ``tasks_per_node``: processes on each.
        array: How many elements, indices 0 to array-1; ``parallelism``: how many of them at once.
        time_limit: The running time of one attempt; ``deadline``: the whole life, queueing included.
        start_timeout: How long it may wait to start before it is failed.
        retries: How often a failed attempt is tried again.
        requeue: Whether the system may start it again after a node failure or preemption.
        after: Upstream jobs.
        grace: Between TERM and KILL when it is ended.
        extra: Per backend: ``{"slurm": ["--exclusive"], "kubernetes": {...patch...}}``.
    """

    if TYPE_CHECKING:  # what may be written, for type checkers; pydantic's own constructor does the work

        def __init__(self, *, command: Sequence[str] | str = (), **fields: Unpack[JobFields]) -> None: ...

    model_config = ConfigDict(defer_build=False)

    kind: Literal["job"] = "job"
    nodes: Count = 1
    tasks_per_node: Count = 1
    array: Count | None = None
    parallelism: Count | None = None
    deadline: Duration | None = None
    retries: NonNegative = 0
    requeue: bool | None = None
    after: Annotated[tuple[After, ...], _LIST] = ()

    @classmethod
    def from_sbatch(cls, path: str | os.PathLike[str]) -> GpuJob:
        """The job of an sbatch script; ``gpujobs.formats.read_native`` also gives what it could not express.

        Raises:
            SpecError: The file cannot be read, or is no sbatch script.
        """
        return _read(cls, "slurm", path)

    @classmethod
    def from_manifest(cls, path: str | os.PathLike[str]) -> GpuJob:
        """The job of a Kubernetes Job or Pod.

        Raises:
            SpecError: The file cannot be read, or describes no job.
        """
        return _read(cls, "kubernetes", path)

    @model_validator(mode="after")
    def _check_job(self) -> GpuJob:
        if self.parallelism is not None and self.array is None:
            raise ValueError("parallelism limits an array, but there is no array: set array=N")
        return self


class GpuService(Workload):
    """A workload that is kept running.

    Attributes:
        replicas: How many copies.
        ports: What it answers on.
        readiness: When a copy may be used; ``liveness``: when it must be restarted; ``startup``: before both.
        expose: ``cluster-ip`` (default where there are ports), ``node-port``, ``headless`` or ``none``.
        rollout: How it is replaced; a service that asks for GPUs replaces in place unless this says otherwise.
    """

    if TYPE_CHECKING:

        def __init__(self, *, command: Sequence[str] | str = (), **fields: Unpack[ServiceFields]) -> None: ...

    model_config = ConfigDict(defer_build=False)

    kind: Literal["service"] = "service"
    replicas: NonNegative = 1
    ports: Annotated[tuple[Port, ...], _LIST] = ()
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    expose: Literal["none", "cluster-ip", "node-port", "headless"] | None = None
    rollout: Rollout | None = None

    @classmethod
    def from_manifest(cls, path: str | os.PathLike[str]) -> GpuService:
        """The service of a Kubernetes Deployment (with its Service).

        Raises:
            SpecError: The file cannot be read, or describes no service.
        """
        return _read(cls, "kubernetes", path)

    @model_validator(mode="after")
    def _check_service(self) -> GpuService:
        seen: set[tuple[int, str]] = set()
        for port in self.ports:
            if (port.port, port.protocol) in seen:
                raise ValueError(f"ports: {port.port}/{port.protocol} is given twice")
            seen.add((port.port, port.protocol))
        for field in ("readiness", "liveness", "startup"):
            probe: Probe | None = getattr(self, field)
            if probe is not None and probe.exec is None and probe.port is None and not self.ports:
                raise ValueError(f"{field}: the probe has no port, and the service has none")
        return self


AnyWorkload = Annotated[GpuJob | GpuService, Field(discriminator="kind")]
