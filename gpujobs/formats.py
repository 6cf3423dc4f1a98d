"""Workloads as JSON, YAML and TOML text, there and back, and files of other systems read in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from gpujobs.errors import SpecError, UnsupportedError
from gpujobs.specs import AnyWorkload, GpuJob, GpuService

if TYPE_CHECKING:
    import os

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Format", "dumps", "from_data", "json_schema", "load", "loads", "read_native", "read_text", "spec_error"]

Format = Literal["json", "yaml", "toml"]
_ADAPTER: TypeAdapter[GpuJob | GpuService] = TypeAdapter(AnyWorkload)
_SUFFIXES: dict[str, Format] = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}


def dumps(workload: GpuJob | GpuService, fmt: Format = "yaml") -> str:
    """The text of a workload: the fields that differ from their defaults. Values of secrets are left out.

    Raises:
        SpecError: TOML cannot express a null in ``extra`` or ``security_context``.
    """
    data = {"kind": workload.kind, **workload.model_dump(mode="json", exclude_defaults=True, exclude_none=True)}
    if fmt == "json":
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    if fmt == "toml":
        return _toml(data)
    return _yaml(data)


def _yaml(data: dict[str, Any]) -> str:
    import yaml  # noqa: PLC0415  # first use

    class Dumper(yaml.SafeDumper):
        """Quotes what YAML 1.1 takes for a line break, which PyYAML itself does not read back as it was."""

    def text(_: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        quoted = any(mark in value for mark in "\x85\u2028\u2029\ufeff")
        return yaml.ScalarNode("tag:yaml.org,2002:str", value, style='"' if quoted else None)

    Dumper.add_representer(str, text)
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True)


def _toml(data: dict[str, Any]) -> str:
    import tomli_w  # noqa: PLC0415  # first use

    try:
        return tomli_w.dumps(data)
    except TypeError as e:
        raise SpecError(
            "TOML has no word for null, which extra or security_context holds.", next_step="Use YAML."
        ) from e


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a workload file, for editors and other programs; short forms (``gpus: 1``) included."""
    schema = TypeAdapter[GpuJob | GpuService](GpuJob | GpuService).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gpujobs workload", **schema}


def loads(text: str, fmt: Format = "yaml", *, source: str = "the text") -> GpuJob | GpuService:
    """The workload of a text; ``kind`` may be left out where only one kind has all its fields.

    Raises:
        SpecError: The text is not of that format, or describes no workload; the message names the field.
    """
    return from_data(_parse(text, fmt, source), source=source)


def from_data(data: Any, *, source: str = "the data") -> GpuJob | GpuService:
    """The workload of a table of fields.

    Raises:
        SpecError: It is no table, or describes no workload; the message names the field.
    """
    if data.__class__ is not dict:
        raise SpecError(f"{source} holds no table of fields.", next_step="Write fields: `command: [nvidia-smi]`.")
    table: dict[str, Any] = {str(k): v for k, v in data.items()}
    only_service = set(GpuService.model_fields) - set(GpuJob.model_fields)
    table.setdefault("kind", "service" if only_service & set(table) else "job")
    try:
        return _ADAPTER.validate_python(table)
    except ValidationError as e:
        raise spec_error(source, e) from e


def load(path: str | os.PathLike[str]) -> GpuJob | GpuService:
    """The workload of a ``.yaml``, ``.toml`` or ``.json`` file.

    Raises:
        SpecError: The file cannot be read, has another ending, or describes no workload.
    """
    file = Path(path)
    fmt = _SUFFIXES.get(file.suffix.lower())
    if fmt is None:
        raise SpecError(f"{file} has no known ending.", next_step=f"Known: {', '.join(_SUFFIXES)}.")
    return loads(read_text(file), fmt, source=str(file))


def read_native(backend: str, path: str | os.PathLike[str]) -> tuple[GpuJob | GpuService, tuple[str, ...]]:
    """The workload of another system's file (``slurm``: an sbatch script; ``kubernetes``: a manifest).

    Returns:
        The workload, and what of the file it could not express, one line each.

    Raises:
        SpecError: The file cannot be read, or is not of that kind.
        UnsupportedError: The backend reads no files.
    """
    from gpujobs._plugins import backend_class  # noqa: PLC0415  # only this function needs a backend
    from gpujobs.backend import SupportsImport  # noqa: PLC0415

    cls = backend_class(backend)
    if not isinstance(cls, SupportsImport):
        raise UnsupportedError(f"The {backend} backend reads no files of its system.")
    return cls.read_native(read_text(Path(path)), path=str(path))


def read_text(file: Path) -> str:
    """The text of a file.

    Raises:
        SpecError: It cannot be read, or is no UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as e:
        raise SpecError(f"{file} cannot be read: {e.strerror}.", next_step="Check the path and its mode.") from e
    except UnicodeDecodeError as e:
        raise SpecError(f"{file} is not UTF-8 text (byte {e.start}).", next_step="Convert it to UTF-8.") from e


def spec_error(source: str, error: ValidationError) -> SpecError:
    """The first thing that pydantic found wrong, as one sentence: the field, what is allowed, the value."""
    first = error.errors(include_url=False)[0]
    loc = [str(p) for p in first["loc"] if p not in {"job", "service", "[key]"}]
    shown = repr(first["input"])
    value = shown if len(shown) <= 80 else shown[:77] + "..."  # noqa: PLR2004
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    field = ".".join(loc)
    if first["type"] == "extra_forbidden":
        return SpecError(
            f"{source}: unknown field {field!r}{more}.", next_step="`gpujobs schema` prints the fields there are."
        )
    message = first["msg"].removeprefix("Value error, ")
    return SpecError(f"{source}: {field + ': ' if field else ''}{message} (given: {value}){more}.", next_step="")


def _parse(text: str, fmt: Format, source: str) -> Any:
    import yaml  # noqa: PLC0415  # first use

    try:
        if fmt == "json":
            return json.loads(text)
        if fmt == "toml":
            return tomllib.loads(text)
        return yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as e:
        raise SpecError(f"{source} is not valid {fmt.upper()}: {e}.", next_step="Mend the line it names.") from e
