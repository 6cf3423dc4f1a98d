"""gpujobs: one typed model of a GPU workload; Slurm, Kubernetes or this machine underneath.

::

    from gpujobs import submit

    job = submit(["nvidia-smi"], gpus=1, target="lab")
    for line in job.logs(follow=True):
        print(line.text)
    job.wait().raise_for_state()

Importing this package loads nothing; each name is loaded on first use.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpujobs.api import (
        attach,
        cancel,
        capacity,
        delete,
        explain,
        list_jobs,
        logs,
        render,
        status,
        submit,
        submit_many,
        wait,
    )
    from gpujobs.client import Client
    from gpujobs.config import Config
    from gpujobs.errors import (
        AuthError,
        BackendError,
        ConfigError,
        ConflictError,
        GpuJobsError,
        JobFailedError,
        MissingExtraError,
        NotFoundError,
        PreflightError,
        RejectedError,
        SpecError,
        SubmitManyError,
        UnavailableError,
        UnsupportedError,
        WaitTimeoutError,
    )
    from gpujobs.gpu import Gpu
    from gpujobs.job import Job, Service
    from gpujobs.parts import After, Port, Probe, Rollout, Secret, Toleration, Volume
    from gpujobs.reasons import Cause, Reason
    from gpujobs.refs import Ref
    from gpujobs.results import Capacity, ExecResult, Explanation, LogLine
    from gpujobs.specs import GpuJob, GpuService
    from gpujobs.states import Replicas, State, Status

_HOME = {
    "api": "attach cancel capacity delete explain list_jobs logs render status submit submit_many wait",
    "client": "Client",
    "config": "Config",
    "errors": "AuthError BackendError ConfigError ConflictError GpuJobsError JobFailedError MissingExtraError "
    "NotFoundError PreflightError RejectedError SpecError SubmitManyError UnavailableError UnsupportedError "
    "WaitTimeoutError",
    "gpu": "Gpu",
    "job": "Job Service",
    "parts": "After Port Probe Rollout Secret Toleration Volume",
    "reasons": "Cause Reason",
    "refs": "Ref",
    "specs": "GpuJob GpuService",
    "results": "Capacity ExecResult Explanation LogLine",
    "states": "Replicas State Status",
}
_MODULES = {name: f"gpujobs.{module}" for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "After",
    "AuthError",
    "BackendError",
    "Capacity",
    "Cause",
    "Client",
    "Config",
    "ConfigError",
    "ConflictError",
    "ExecResult",
    "Explanation",
    "Gpu",
    "GpuJob",
    "GpuJobsError",
    "GpuService",
    "Job",
    "JobFailedError",
    "LogLine",
    "MissingExtraError",
    "NotFoundError",
    "Port",
    "PreflightError",
    "Probe",
    "Reason",
    "Ref",
    "RejectedError",
    "Replicas",
    "Rollout",
    "Secret",
    "Service",
    "SpecError",
    "State",
    "Status",
    "SubmitManyError",
    "Toleration",
    "UnavailableError",
    "UnsupportedError",
    "Volume",
    "WaitTimeoutError",
    "attach",
    "cancel",
    "capacity",
    "delete",
    "explain",
    "list_jobs",
    "logs",
    "render",
    "status",
    "submit",
    "submit_many",
    "wait",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("gpujobs")
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'gpujobs' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
