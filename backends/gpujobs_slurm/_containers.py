"""Images on Slurm: through pyxis (an option of srun) or apptainer (a program around the command)."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from gpujobs.errors import UnsupportedError

if TYPE_CHECKING:
    from gpujobs.specs import GpuJob
    from gpujobs_slurm._facts import Facts


def runtime_for(spec: GpuJob, facts: Facts) -> str | None:
    """What runs the image of a job; None where it has none, or may do without.

    Raises:
        UnsupportedError: It needs an image, and the cluster has nothing to run one.
    """
    if spec.image is None:
        return None
    if facts.container is None:
        if spec.image_optional and spec.command:
            return None
        raise UnsupportedError(
            f"image: this cluster has neither pyxis nor apptainer to run {spec.image}.",
            next_step="Use setup= (modules, a virtual environment) instead; image_optional=True runs it without.",
        )
    if facts.container == "pyxis" and not spec.command and spec.script is None:
        raise UnsupportedError("command: pyxis cannot run an image's own command.", next_step="Give the command.")
    return facts.container


def pyxis_image(image: str) -> str:
    """``nvcr.io/nvidia/cuda:12`` as pyxis wants it: ``nvcr.io#nvidia/cuda:12``; files stay as they are."""
    registry, slash, rest = image.partition("/")
    if image.startswith(("/", "./")) or "#" in image or not slash:
        return image
    return f"{registry}#{rest}" if "." in registry or ":" in registry or registry == "localhost" else image


def srun_options(spec: GpuJob, facts: Facts, path: str) -> list[str] | None:
    """The words after ``srun``; None where the batch script runs the command itself."""
    pyxis = runtime_for(spec, facts) == "pyxis"
    if spec.nodes == spec.tasks_per_node == 1 and not pyxis:
        return None
    options = [f"--nodes={spec.nodes}", f"--ntasks-per-node={spec.tasks_per_node}", "--kill-on-bad-exit=1"]
    if spec.cpus:  # not handed down by sbatch since 22.05
        options.append(f"--cpus-per-task={int(spec.cpus) // spec.tasks_per_node}")
    if pyxis and spec.image:
        mounts = [f"{path}:{path}", *_mounts(spec)]
        options += [f"--container-image={pyxis_image(spec.image)}", f"--container-mounts={','.join(mounts)}"]
        options += [f"--container-workdir={spec.workdir}"] if spec.workdir else []
    return options


def container_lines(spec: GpuJob, facts: Facts) -> list[str]:
    """Shell lines that put apptainer around the command in ``$@``."""
    program = runtime_for(spec, facts)
    if program not in {"apptainer", "singularity"} or spec.image is None:
        return []
    verb = "exec" if spec.command or spec.script is not None else "run"
    words = [program, verb, *(["--nv"] if spec.gpus else []), "--bind"]
    mounts = f'"$gj_dir"{shlex.quote("".join("," + m for m in _mounts(spec)))}'
    where = f" --pwd {shlex.quote(spec.workdir)}" if spec.workdir else ""
    return [f'set -- {shlex.join(words)} {mounts}{where} {shlex.quote(_apptainer_image(spec.image))} "$@"']


def _apptainer_image(image: str) -> str:
    local = image.startswith(("/", "./")) or image.endswith((".sif", ".simg"))
    return image if local or "://" in image else f"docker://{image}"


def _mounts(spec: GpuJob) -> list[str]:
    return [
        f"{v.host}{'/' + v.sub_path if v.sub_path else ''}:{v.path}{':ro' if v.read_only else ''}" for v in spec.volumes
    ]
