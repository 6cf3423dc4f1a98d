"""The same submissions by others: submitit, psij-python and simple_slurm, where they are installed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from _measure import pairs, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Act = Callable[[], object]


def one_each(directory: Path, sbatch: Act, count: int) -> Iterator[tuple[str, float, float]]:
    """(name, their ms, bare ms) of one submission."""
    for name, make in (("submitit", _submitit), ("psij", _psij), ("simple_slurm", _simple_slurm)):
        try:
            submit = make(directory)
        except ImportError:
            print(f"{name} is not installed: see docs/benchmarks.md")
            continue
        yield f"{name}: one submission", *pairs(submit, sbatch, count)


def alike(directory: Path, array: Act) -> Iterator[tuple[str, float, float]]:
    """(name, their ms, bare ms) of a thousand alike: only submitit has a call for it."""
    try:
        executor = _executor(directory)
    except ImportError:
        return
    executor.update_parameters(array_parallelism=1000)
    numbers = list(range(1000))
    yield "submitit: 1,000 alike", timed(lambda: executor.map_array(print, numbers)), timed(array)


def _executor(directory: Path) -> Any:
    submitit: Any = importlib.import_module("submitit")
    executor: Any = submitit.SlurmExecutor(folder=directory / "submitit")
    executor.update_parameters(additional_parameters={"hold": True}, time=1)
    return executor


def _submitit(directory: Path) -> Act:
    executor = _executor(directory)
    return lambda: executor.submit(print)


def _psij(directory: Path) -> Act:
    psij: Any = importlib.import_module("psij")
    executor: Any = psij.JobExecutor.get_instance("slurm")
    attributes: Any = psij.JobAttributes(custom_attributes={"slurm.begin": "now+1day"})  # it has no --hold

    def submit() -> None:
        executor.submit(psij.Job(psij.JobSpec(executable="/bin/true", directory=directory, attributes=attributes)))

    return submit


def _simple_slurm(directory: Path) -> Act:
    module: Any = importlib.import_module("simple_slurm")

    def submit() -> None:
        module.Slurm(hold=True, output=f"{directory}/simple_slurm.out").sbatch("true", verbose=False)

    return submit
