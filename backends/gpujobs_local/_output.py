"""Where the output of each attempt goes. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpujobs.logfiles import LogFile
    from gpujobs_local._home import Home


class Which(NamedTuple):
    """One attempt of one task."""

    job_id: int
    idx: int
    attempt: int


def files(home: Home, plan: Mapping[str, Any], workdir: Path, which: Which) -> tuple[LogFile, LogFile | None]:
    """(the file for stdout, or for both; the file for stderr where it is kept apart)."""
    from gpujobs.logfiles import LogFile  # noqa: PLC0415  # a supervisor needs the paths only

    out, err = paths(home, plan, workdir, which)
    if err is None:
        return LogFile(out, which.idx, which.attempt), None
    stdout = LogFile(out, which.idx, which.attempt, "stdout")
    return stdout, LogFile(err, which.idx, which.attempt, "stderr")


def paths(home: Home, plan: Mapping[str, Any], workdir: Path, which: Which) -> tuple[Path, Path | None]:
    """Where they lie.

    ``output`` and ``error`` are patterns as Slurm's: ``%j`` the job's id, ``%A`` and ``%a`` an array's id and the
    element's index, ``%x`` the name, ``%%`` a percent sign. Later attempts get ``.1``, ``.2``... appended.
    https://slurm.schedmd.com/sbatch.html#SECTION_FILENAME-PATTERN
    """
    job_id, idx, attempt = which
    directory = home.task(job_id, idx)
    out = _path(plan, "output", workdir, which) or directory / f"{attempt}.log"
    if "error" not in plan:
        return out, None
    return out, _path(plan, "error", workdir, which) or directory / f"{attempt}.err"


def _path(plan: Mapping[str, Any], field: str, workdir: Path, which: Which) -> Path | None:
    job_id, idx, attempt = which
    pattern = plan.get(field)
    if pattern is None:
        return None
    is_array = "array" in plan
    known = {
        "%": "%",
        "A": str(job_id),
        "a": str(idx),
        "j": f"{job_id}_{idx}" if is_array else str(job_id),
        "x": re.sub(r"[/\0]", "_", plan.get("name", "gpujobs")),
    }
    name = re.sub(r"%([%Aajx])", lambda m: known[m[1]], pattern)
    if is_array and not re.search(r"(?<!%)(?:%%)*%[ja]", pattern):
        name += f".{idx}"  # else all elements would write over each other
    return workdir / (f"{name}.{attempt}" if attempt else name)
