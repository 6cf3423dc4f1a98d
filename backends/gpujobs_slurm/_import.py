"""An sbatch script as a GpuJob, and what of it could not be said."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from gpujobs.errors import SpecError
from gpujobs.formats import spec_error
from gpujobs.specs import GpuJob
from gpujobs_slurm._directives import read_directives
from gpujobs_slurm._gres import parse_gres

_SLURM_UNITS = {"K": "KiB", "M": "MiB", "G": "GiB", "T": "TiB", "": "MiB"}
_TEXTS = {
    "job-name": "name",
    "partition": "queue",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "chdir": "workdir",
    "output": "output",
    "error": "error",
}
_NUMBERS = {"nodes": "nodes", "ntasks-per-node": "tasks_per_node"}
_KEPT = ("mail-type", "mail-user", "reservation", "licenses", "exclusive", "begin", "signal", "hint", "nodelist")
_SILENT = ("parsable", "open-mode", "export")


def read_sbatch(text: str, path: str) -> tuple[GpuJob, tuple[str, ...]]:
    """The job, and one line for each thing that it could not express.

    Raises:
        SpecError: It is no sbatch script, or a value in it means nothing.
    """
    if not text.startswith("#!"):
        raise SpecError(f"{path} is no sbatch script: its first line is not #!.", next_step="Give a script for sbatch.")
    reader = _Reader(path)
    for name, value in read_directives(text, path):
        reader.take(name, value)
    fields: dict[str, Any] = {"script": text, **reader.fields()}
    try:
        return GpuJob.model_validate(fields), tuple(reader.lost)
    except ValidationError as e:
        raise spec_error(path, e) from e


class _Reader:
    """Collects fields from options, in order; a later one replaces an earlier one, as in sbatch."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fields: dict[str, Any] = {}
        self._extra: list[str] = []
        self._tasks: int | None = None
        self._cpus: int | None = None
        self._memory_per_cpu: str | None = None
        self.lost: list[str] = []

    def take(self, name: str, value: str) -> None:
        """One option."""
        if name in _TEXTS:
            self._fields[_TEXTS[name]] = value
        elif name in _NUMBERS:
            self._number(_NUMBERS[name], name, value)
        elif hasattr(self, method := "_on_" + name.replace("-", "_")):
            getattr(self, method)(value)
        elif name in _KEPT:
            self._extra.append(f"--{name}={value}" if value else f"--{name}")
        elif name not in _SILENT:
            self._lose(name, value)

    def fields(self) -> dict[str, Any]:
        """The fields of the job."""
        fields = dict(self._fields)
        nodes = int(fields.get("nodes", 1))
        if self._tasks is not None and "tasks_per_node" not in fields:
            if self._tasks % nodes:
                self.lost.append(f"--ntasks={self._tasks}: not the same number on each of {nodes} nodes")
            else:
                fields["tasks_per_node"] = self._tasks // nodes
        tasks = int(fields.get("tasks_per_node", 1))
        if self._cpus is not None:
            fields["cpus"] = self._cpus * tasks
        if self._memory_per_cpu is not None:
            amount, unit = self._memory_per_cpu[:-3], self._memory_per_cpu[-3:]
            fields["memory"] = f"{int(amount) * (self._cpus or 1) * tasks}{unit}"
        if fields.get("error") is not None and "output" not in fields:
            fields["output"] = "slurm-%j.out"
        if self._extra:
            fields["extra"] = {"slurm": self._extra}
        return fields

    def _lose(self, name: str, value: str, why: str = "") -> None:
        self.lost.append(f"--{name}{'=' + value if value else ''}{': ' + why if why else ''}")

    def _number(self, field: str, name: str, value: str) -> None:
        first, dash, last = value.partition("-")
        if first.isdigit() and (not dash or first == last):
            self._fields[field] = int(first)
        else:
            self._lose(name, value, "not one number")

    def _on_ntasks(self, value: str) -> None:
        self._tasks = int(value) if value.isdigit() else self._tasks

    def _on_cpus_per_task(self, value: str) -> None:
        self._cpus = int(value) if value.isdigit() else self._cpus

    def _on_mem(self, value: str) -> None:
        memory = _memory(value)
        if memory is None:
            self._lose("mem", value, "all memory of the node" if value == "0" else "")
        else:
            self._fields["memory"] = memory

    def _on_mem_per_cpu(self, value: str) -> None:
        self._memory_per_cpu = _memory(value)

    def _on_time(self, value: str) -> None:
        limit = _time(value)
        if limit is None:
            self._lose("time", value)
        else:
            self._fields["time_limit"] = limit

    def _on_gres(self, value: str) -> None:
        found = parse_gres(value)
        if len(found) != 1 or found[0].kind not in {"gpu", "shard", "mps"}:
            self._extra.append(f"--gres={value}")
            return
        self._gpus(found[0].kind, found[0].type, found[0].count)

    def _on_gpus(self, value: str) -> None:
        self._on_gpus_per_node(value)

    def _on_gpus_per_node(self, value: str) -> None:
        kind, _, count = value.rpartition(":")
        if count.isdigit():
            self._gpus("gpu", kind, int(count))
        else:
            self._gpus("gpu", count, 1)

    def _on_gpus_per_task(self, value: str) -> None:
        self._on_gpus_per_node(value)

    def _gpus(self, kind: str, type_: str, count: int) -> None:
        gpus: dict[str, Any] = {"count": count}
        if type_:
            gpus["type"] = type_
        if kind != "gpu":
            gpus["sharing"] = kind
        self._fields["gpus"] = gpus

    def _on_exclude(self, value: str) -> None:
        self._fields["exclude"] = [value]

    def _on_nice(self, value: str) -> None:
        self._fields["priority"] = -int(value) if value.isdigit() else -100

    def _on_comment(self, value: str) -> None:
        self._fields["labels"] = {"comment": value}

    def _on_requeue(self, _: str) -> None:
        self._fields["requeue"] = True

    def _on_no_requeue(self, _: str) -> None:
        self._fields["requeue"] = False

    def _on_array(self, value: str) -> None:
        indices, _, limit = value.partition("%")
        first, dash, last = indices.partition("-")
        if indices == "0":
            first, dash, last = "0", "-", "0"
        if first != "0" or not dash or not last.isdigit():
            self._lose("array", value, "indices must be 0 to N-1")
            return
        self._fields["array"] = int(last) + 1
        if limit.isdigit():
            self._fields["parallelism"] = int(limit)


def _memory(value: str) -> str | None:
    """Slurm's ``8G`` (powers of 1024; MiB without a letter) as ours."""
    number, unit = (value[:-1], value[-1].upper()) if value[-1:].isalpha() else (value, "")
    if not number.isdigit() or int(number) == 0 or unit not in _SLURM_UNITS:
        return None
    return number + _SLURM_UNITS[unit]


def _time(value: str) -> int | None:
    """Seconds of ``M``, ``M:S``, ``H:M:S``, ``D-H``, ``D-H:M`` and ``D-H:M:S``; None for no limit."""
    days, dash, rest = value.rpartition("-")
    parts = rest.split(":")
    if not all(p.isdigit() for p in parts) or (dash and not days.isdigit()) or len(parts) > 3:  # noqa: PLR2004
        return None
    numbers = [int(p) for p in parts]
    if dash:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:  # noqa: PLR2004  # H:M:S
        hours, minutes, seconds = numbers
    else:
        hours, minutes, seconds = 0, *[*numbers, 0][:2]
    total = int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds
    return total or None
