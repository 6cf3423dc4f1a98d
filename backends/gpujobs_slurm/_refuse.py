"""The fields that a batch job on Slurm cannot honour: each is refused by its name, none is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.errors import UnsupportedError

if TYPE_CHECKING:
    from gpujobs.specs import GpuJob, GpuService

MAX_FILES = 3 * 1024 * 1024

_NEVER = {
    "image_pull_policy": "Slurm's container runtimes have no pull policy",
    "image_pull_secrets": "log in to the registry on the cluster instead (~/.config/enroot, apptainer registry login)",
    "runtime_class": "Slurm has no runtime classes",
    "node_selector": "Slurm has no node labels; use constraint=",
    "tolerations": "Slurm has no taints",
    "service_account": "Slurm jobs run as you",
    "security_context": "Slurm jobs run as you",
    "start_timeout": "Slurm cannot end a job for waiting too long; use deadline=",
}


def refuse(spec: GpuJob | GpuService) -> GpuJob:
    """The job itself.

    Raises:
        UnsupportedError: It is a service, or sets a field that Slurm has nothing for; the message names it.
    """
    if spec.kind == "service":
        raise UnsupportedError(
            "GpuService: this version runs only jobs on Slurm, no services.",
            next_step="Run it on a Kubernetes or local target, or as a GpuJob.",
        )
    for field, why in _NEVER.items():
        if getattr(spec, field):
            raise UnsupportedError(f"{field}: {why}.", next_step="Leave it out for this target.")
    _volumes(spec)
    refuse_files(spec)
    _numbers(spec)
    for field, value in _one_line(spec):
        if "\n" in value or "\r" in value:
            raise UnsupportedError(f"{field}: Slurm takes no line break in it ({value[:40]!r}).")
    return spec


def _volumes(spec: GpuJob) -> None:
    for volume in spec.volumes:
        if volume.host is None:
            raise UnsupportedError(
                f"volumes: {volume.path} is no directory of the nodes, and Slurm has no other kind.",
                next_step="Give a path of the nodes: '/data:/data'.",
            )
        if spec.image is None and (volume.host != volume.path or volume.sub_path):
            raise UnsupportedError(
                f"volumes: without an image nothing can be mounted at {volume.path}.",
                next_step=f"Use {volume.host} in the command itself, or give an image.",
            )


def refuse_files(spec: GpuJob) -> None:
    """Files lie below ``$GPUJOBS_FILES``, and are not too large.

    Raises:
        UnsupportedError: They do not, or are.
    """
    for path in spec.files:
        if path.startswith("/"):
            raise UnsupportedError(
                f"files: {path} is absolute; on Slurm files lie below $GPUJOBS_FILES.",
                next_step="Give a relative path and read $GPUJOBS_FILES/PATH.",
            )
    size = sum(map(len, spec.files.values()))
    if size > MAX_FILES:
        raise UnsupportedError(
            f"files: {size} bytes in all; a job carries at most {MAX_FILES}.",
            next_step="Put them on the cluster's file system and name that directory in volumes, or use its path.",
        )


def _numbers(spec: GpuJob) -> None:
    if spec.cpus is not None and spec.cpus % spec.tasks_per_node:
        raise UnsupportedError(
            f"cpus: {spec.cpus:g} per node cannot be divided into whole CPUs for {spec.tasks_per_node} tasks.",
            next_step=f"Ask for a multiple of {spec.tasks_per_node}.",
        )
    if isinstance(spec.priority, int) and spec.priority > 0:
        raise UnsupportedError(
            f"priority: on Slurm users can only lower it, and {spec.priority} would raise it.",
            next_step="Give a negative number, or a QOS with more priority.",
        )
    if isinstance(spec.priority, str) and spec.qos is not None:
        raise UnsupportedError("priority: on Slurm a named priority is a QOS, and qos is given too.")
    if spec.requeue is False and spec.retries:
        raise UnsupportedError(
            "retries: on Slurm a job tries again by requeueing itself, and requeue=False forbids that.",
            next_step="Leave one of the two out.",
        )
    if spec.error is not None and spec.output is None:
        raise UnsupportedError("error: on Slurm it needs output too.", next_step="Give both, or neither.")


def _one_line(spec: GpuJob) -> list[tuple[str, str]]:
    """Everything that becomes a directive, which is one line."""
    fields = ("queue", "account", "qos", "constraint", "workdir", "output", "error", "image")
    values = [(f, v) for f in fields if isinstance(v := getattr(spec, f), str)]
    values += [("exclude", node) for node in spec.exclude]
    values += [("priority", spec.priority)] if isinstance(spec.priority, str) else []
    return values + [("extra", line) for line in extra_lines(spec)]


def extra_lines(spec: GpuJob) -> list[str]:
    """``extra["slurm"]``: more options of sbatch, as they are.

    Raises:
        UnsupportedError: It is no list of options, or sets one that gpujobs itself relies on.
    """
    given = spec.extra.get("slurm", [])
    lines = [given] if isinstance(given, str) else given
    if lines.__class__ not in {list, tuple} or not all(isinstance(x, str) and x.startswith("-") for x in lines):
        raise UnsupportedError("extra: for slurm it is a list of options of sbatch: ['--exclusive'].")
    for line in lines:
        option = line.split("=")[0].split(" ")[0]
        if option in _OURS:
            raise UnsupportedError(f"extra: {option} is set by gpujobs itself.", next_step=f"Use {_OURS[option]}.")
    return list(lines)


_OURS = {
    "--job-name": "name",
    "-J": "name",
    "--comment": "labels",
    "--array": "array",
    "-a": "array",
    "--parsable": "the ref",
    "--wait": "wait()",
    "-W": "wait()",
    "--export": "env and inherit_env",
    "--open-mode": "output",
    "--output": "output",
    "-o": "output",
    "--dependency": "after",
    "-d": "after",
}
