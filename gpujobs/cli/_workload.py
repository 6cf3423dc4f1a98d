"""From the options of a command line, and a file if one is given, to one workload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gpujobs.cli._errors import Misuse
from gpujobs.cli._source import read_file
from gpujobs.formats import spec_error
from gpujobs.gpu import Gpu
from gpujobs.specs import GpuJob, GpuService

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

_TABLES = frozenset({"env", "labels", "files", "node_selector"})
_LISTS = frozenset({"secrets", "volumes", "after", "setup", "inherit_env", "exclude", "ports"})
_SERVICE = frozenset(GpuService.model_fields) - frozenset(GpuJob.model_fields)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a command line asks to submit.

    Attributes:
        lost: What a foreign file says that a workload cannot express.
    """

    workload: GpuJob | GpuService
    lost: tuple[str, ...] = ()


def wanted(ctx: click.Context, given: Mapping[str, Any], *, command: tuple[str, ...], file: str | None) -> Wanted:
    """The workload of a command line.

    Raises:
        Misuse: The options contradict each other or a field refuses its value.
        SpecError: The file describes no workload.
    """
    fields = _fields(given)
    if command:
        fields["command"] = command
    if file is None and not command and "script" not in fields and "image" not in fields:
        raise Misuse("There is nothing to run.", f"Write the command after --: `{ctx.command_path} -- nvidia-smi`.")
    service = fields.pop("service", False) or bool(_SERVICE & set(fields))
    try:
        if file is None:
            kind = GpuService if service else GpuJob
            return Wanted(kind.model_validate(_with_gpu(fields, None)))
        base, lost = read_file(file)
        return Wanted(base.replace(**_over(base, fields)), lost)
    except ValidationError as e:
        raise _misuse(ctx, e) from e


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, as fields of a workload."""
    fields = {name: value for name, value in given.items() if value not in (None, ())}
    for name in _TABLES & set(fields):
        fields[name] = dict(fields[name])
    if "script" in fields:
        try:
            fields["script"] = fields["script"].read()
        except UnicodeDecodeError as e:
            raise Misuse("--script: the file is not UTF-8 text.", "Convert it to UTF-8.") from e
    if "inherit_env" in fields:
        fields["inherit_env"] = tuple(n for word in fields["inherit_env"] for n in word.split(","))
    return fields


def _with_gpu(fields: dict[str, Any], base: Gpu | None) -> dict[str, Any]:
    """``--sharing`` and ``--gpu-memory`` are parts of the Gpu."""
    parts = {k: fields.pop(o) for k, o in (("sharing", "sharing"), ("memory", "gpu_memory")) if o in fields}
    if parts:
        gpu = fields.get("gpus", base)
        if not isinstance(gpu, Gpu):
            option = "--sharing" if "sharing" in parts else "--gpu-memory"
            raise Misuse(f"{option} says something about GPUs, but none are asked for.", "Add --gpus 1.")
        fields["gpus"] = gpu.replace(**parts)
    return fields


def _over(base: GpuJob | GpuService, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that change in a workload read from a file: tables are merged, lists grow, the rest is replaced."""
    changes = _with_gpu(fields, base.gpus)
    for name in changes:
        if name not in type(base).model_fields:
            raise Misuse(f"--{name.replace('_', '-')} does not belong to a {base.kind}, which the file describes.")
        if name in _TABLES:
            changes[name] = {**getattr(base, name), **changes[name]}
        elif name in _LISTS:
            changes[name] = (*getattr(base, name), *changes[name])
    # A command from the command line stands for whatever the file would run.
    if "command" in changes:
        changes |= {"script": None, "args": ()}
    elif "script" in changes:
        changes |= {"command": ()}
    return changes


def _misuse(ctx: click.Context, error: ValidationError) -> Misuse:
    """Name the option, not the field, of what pydantic refused."""
    first = error.errors(include_url=False)[0]
    loc = first["loc"]
    field = str(loc[0]) if loc else ""
    names = {param.name: next((o for o in param.opts if o.startswith("--")), "") for param in ctx.command.params}
    names |= {"": "the options", "command": "the command"}
    source = names.get(field) or field
    if first["type"] == "extra_forbidden":
        kind = "service" if error.title == GpuService.__name__ else "job"
        return Misuse(f"{source} does not belong to a {kind}.", f"Drop it, or what makes this a {kind}.")
    found = spec_error(source, error)
    return Misuse(found.message.replace(f"{source}: {field}: ", f"{source}: ", 1), found.next_step)
