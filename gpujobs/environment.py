"""What a job may take over from the environment that submits it: nothing, unless ``inherit_env`` names it.

For backends; follows ``inherit_env`` of a workload.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gpujobs.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["VENV", "active", "inherited", "variables"]

VENV = "venv"
"""The name in ``inherit_env`` that means the active virtual or conda environment."""


def variables(names: Iterable[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that ``inherit_env`` names, but for ``venv``, with their values here.

    Raises:
        SpecError: One is not set.
    """
    source = os.environ if environ is None else environ
    found: dict[str, str] = {}
    for name in names:
        if name != VENV and name not in source:
            raise SpecError(
                f"inherit_env: the variable {name} is not set here.", next_step=f"Set {name}, or leave it out."
            )
        if name != VENV:
            found[name] = source[name]
    return found


def active(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The active virtual or conda environment: ``VIRTUAL_ENV`` or ``CONDA_PREFIX`` with its directory.

    Raises:
        SpecError: None is active.
    """
    source = os.environ if environ is None else environ
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if source.get(variable):
            extra = {"CONDA_DEFAULT_ENV": source["CONDA_DEFAULT_ENV"]} if source.get("CONDA_DEFAULT_ENV") else {}
            return {variable: source[variable], **extra}
    if sys.prefix != sys.base_prefix:  # run from a virtual environment that was not activated
        return {"VIRTUAL_ENV": sys.prefix}
    raise SpecError(
        "inherit_env: no virtual or conda environment is active here.",
        next_step="Activate one before submitting, or name the variables to pass on.",
    )


def inherited(names: Iterable[str], path: str, *, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that ``inherit_env`` names, for a job of this machine.

    Args:
        names: Names of variables; ``venv`` stands for the active environment: its ``bin`` is put before ``path``.
        path: The ``PATH`` that the job has without it.
        environ: The submitting environment; by default this process's.

    Raises:
        SpecError: A variable is not set, or no environment is active.
    """
    wanted = list(names)
    found = variables(wanted, environ)
    if VENV in wanted:
        place = active(environ)
        prefix = place.get("VIRTUAL_ENV") or place["CONDA_PREFIX"]
        found.update({**place, "PATH": f"{prefix}/bin:{found.get('PATH', path)}"})
    return found
