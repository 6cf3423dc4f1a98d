"""sbatch scripts read as jobs: directives as sbatch reads them, and what is lost is said."""

from __future__ import annotations

from typing import Any

import pytest

from gpujobs import Gpu, GpuJob, SpecError
from gpujobs_slurm import SlurmBackend


def read(*lines: str) -> tuple[GpuJob, tuple[str, ...]]:
    """A script of these directives."""
    job, lost = SlurmBackend.read_native("\n".join(["#!/bin/bash", *lines, "true", ""]), path="job.sh")
    assert isinstance(job, GpuJob)
    return job, lost


NVIDIA_SMI = """#!/bin/bash
#SBATCH --job-name=nvidia-smi-test
#SBATCH --output=slurm-%j.out
#SBATCH --error=slurm-%j.err
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=00:05:00
#SBATCH --gres=gpu:1
#SBATCH --partition=gpu

echo "Job ID: $SLURM_JOB_ID"
nvidia-smi
"""
ARRAY = """#!/bin/bash
#SBATCH --job-name=gpu-array
#SBATCH --array=0-3
#SBATCH --output=slurm-array-%A-%a.out
#SBATCH --error=slurm-array-%A-%a.err
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=01:00:00
#SBATCH --gres=gpu:1
#SBATCH --partition=gpu
case $SLURM_ARRAY_TASK_ID in 0) nvidia-smi ;; esac
"""
TRAINING = """#!/bin/bash
#SBATCH --job-name=train_model
#SBATCH --partition=debug
#SBATCH --gres=gpu:1
#SBATCH --output=log.out
#SBATCH --error=log.err

module load anaconda/25.11.1-1
python train_model.py
#SBATCH --gres=gpu:8
"""


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (
            NVIDIA_SMI,
            {
                "name": "nvidia-smi-test",
                "gpus": Gpu(1),
                "cpus": 2,
                "memory": 4 * 2**30,
                "queue": "gpu",
                "error": "slurm-%j.err",
            },
        ),
        (ARRAY, {"array": 4, "output": "slurm-array-%A-%a.out", "memory": 8 * 2**30}),
        (TRAINING, {"queue": "debug", "gpus": Gpu(1), "output": "log.out"}),
    ],
)
def test_scripts_that_people_have_leave_no_remainder(text: str, fields: dict[str, Any]) -> None:
    """A GPU test, an array and a training job; a directive after the first command counts for nothing."""
    job, lost = SlurmBackend.read_native(text, path="job.sh")

    assert lost == ()
    assert {name: getattr(job, name) for name in fields} == fields
    assert job.script == text


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("#SBATCH -J name -p gpu", {"name": "name", "queue": "gpu"}),
        ("#SBATCH -Jname -t5", {"name": "name"}),
        ("#SBATCH --job-name name  # why", {"name": "name"}),
        ("#SBATCH --part=gpu", {"queue": "gpu"}),
        ('#SBATCH --job-name="two words" \\\n  --partition=gpu', {"name": "two words", "queue": "gpu"}),
        ("#SBATCH -N 2\n#SBATCH -n 8\n#SBATCH -c 2", {"nodes": 2, "tasks_per_node": 4, "cpus": 8}),
        ("#SBATCH -c 2\n#SBATCH --mem-per-cpu=500M", {"memory": 1000 * 2**20}),
        ("#SBATCH --mem=100", {"memory": 100 * 2**20}),
        ("#SBATCH -G h100:2", {"gpus": Gpu(2, type="h100")}),
        ("#SBATCH --gres=shard:4", {"gpus": Gpu(4, sharing="shard")}),
        ("#SBATCH --array=0-7%2", {"array": 8, "parallelism": 2}),
        ("#SBATCH --no-requeue", {"requeue": False}),
        ("#SBATCH --mail-type=END --exclusive", {"extra": {"slurm": ["--mail-type=END", "--exclusive"]}}),
        ("##SBATCH --partition=no\n#SBATCHX\n\n# --partition=no", {"queue": None}),
    ],
)
def test_directives_are_read_as_sbatch_does(line: str, fields: dict[str, Any]) -> None:
    """Short and long, with blanks, quotes, comments, continuations, beginnings of names."""
    job, lost = read(line)
    assert lost == ()
    assert {name: getattr(job, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 300), ("5:30", 330), ("1:00:00", 3600), ("1-12", 129600), ("1-0:30", 88200), ("2-00:00:01", 172801)],
)
def test_times_are_read_in_all_spellings(value: str, seconds: int) -> None:
    """Minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S."""
    job, _ = read(f"#SBATCH --time={value}")
    assert job.time_limit is not None
    assert job.time_limit.total_seconds() == seconds


@pytest.mark.parametrize(
    "line", ["--array=1-4", "--array=1,3", "--dependency=afterok:7", "--mem=0", "--nodes=1-4", "--time=UNLIMITED"]
)
def test_what_cannot_be_said_is_listed(line: str) -> None:
    """One line for each, naming the option."""
    _, lost = read(f"#SBATCH {line}")
    assert len(lost) == 1
    assert lost[0].startswith(line)


@pytest.mark.parametrize(
    "text", ["echo no script", "#!/bin/sh\n#SBATCH nonsense\n", "#!/bin/sh\n#SBATCH --partition\n"]
)
def test_what_is_no_script_is_refused(text: str) -> None:
    """With the line that is to blame."""
    with pytest.raises(SpecError):
        SlurmBackend.read_native(text, path="job.sh")
