"""Prove that a target works, step by step, down to a tiny job that uses its directory."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from gpujobs.backend import LogQuery, Submission
from gpujobs.errors import GpuJobsError
from gpujobs.results import Check
from gpujobs.specs import GpuJob

if TYPE_CHECKING:
    from gpujobs.backend import Backend, Target
    from gpujobs.refs import Ref
    from gpujobs.states import Status
    from gpujobs_slurm._probe import Probe
    from gpujobs_slurm._transport import Transport

_PATIENCE_S = 60.0
_LOOK_S = 0.5


def check_target(backend: Backend, target: Target, transport: Transport, probe: Probe) -> list[Check]:
    """One entry per thing looked at; it stops where the next could not work."""
    checks: list[Check] = []
    try:
        me = transport.call("whoami")
        where = target.options.host or "this machine"
        missing = [p for p in ("sbatch", "squeue", "scontrol", "scancel", "srun") if p not in me["programs"]]
        checks.append(
            Check(
                "Slurm's programs",
                not missing,
                f"{', '.join(missing)} not found on {where}" if missing else f"found on {where}, as {me['user']}",
                "Install Slurm's client programs, or set transport = 'ssh' and host." if missing else "",
            )
        )
        if missing:
            return checks
        facts = probe.facts()
        checks.append(Check("the scheduler answers", True, f"cluster {facts.cluster}, Slurm {facts.version}"))
        how = "sacct answers for jobs of long ago" if facts.accounting else "none: the job directory keeps the ends"
        checks.append(Check("accounting", True, how))
        gpus = sum(g.count for n in probe.layout().nodes for g in n.gres if g.kind == "gpu")
        checks.append(Check("GPUs", True, f"{gpus} in all, of types {', '.join(facts.gpu_types) or 'without a name'}"))
        checks.append(_tiny_job(backend, target, probe))
    except GpuJobsError as e:
        checks.append(Check("the scheduler answers" if checks else "the connection", False, e.message, e.next_step))
    return checks


def _tiny_job(backend: Backend, target: Target, probe: Probe) -> Check:
    title = "a tiny job runs and its job directory is shared"
    word = secrets.token_hex(8)
    usual = target.defaults
    spec = GpuJob(
        command=["echo", word],
        name="gpujobs-check",
        time_limit=60,
        queue=usual.get("queue"),
        account=usual.get("account"),
        qos=usual.get("qos"),
    )
    result = backend.submit([Submission(spec, f"check-{word}", word)])[0]
    if isinstance(result, GpuJobsError):
        return Check(title, False, result.message, result.next_step)
    status = _wait(backend, result, probe)
    if not status.final:
        backend.cancel([result])
        why = status.reason.message if status.reason else f"it is {status.state}"
        return Check(title, False, f"{result} did not end within {_PATIENCE_S:g} s: {why}", "Try again later.")
    lines = [line.text for line in backend.logs(result, LogQuery())]
    if status.succeeded and word in lines:
        return Check(title, True, f"{result} ran on {', '.join(status.nodes)}")
    why = status.reason.message if status.reason else "its log did not arrive"
    return Check(title, False, f"{result}: {why}", "Set job_dir to a directory on a file system that the nodes share.")


def _wait(backend: Backend, ref: Ref, probe: Probe) -> Status:
    deadline = probe.clock.monotonic() + _PATIENCE_S
    while True:
        status = backend.statuses([ref])[0]
        if status.final or probe.clock.monotonic() >= deadline:
            return status
        probe.clock.sleep(_LOOK_S)
