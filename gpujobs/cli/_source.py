"""The FILE that a verb is given: what kind it is, told by its content and its ending, and the workload in it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpujobs.cli._errors import Misuse
from gpujobs.errors import SpecError, UnsupportedError
from gpujobs.formats import loads, read_text
from gpujobs.specs import GpuJob

if TYPE_CHECKING:
    from gpujobs.specs import GpuService

STDIN = "-"
_PROGRAMS = {".py": "python", ".pl": "perl", ".r": "Rscript", ".jl": "julia"}
_SBATCH = re.compile(r"^#SBATCH\b", re.MULTILINE)
_MANIFEST = re.compile(r"^apiVersion\s*:", re.MULTILINE)
_TOML = re.compile(r"\A(?:\s*#[^\n]*\n|\s*\n)*\s*(?:\[[A-Za-z]|[A-Za-z_][\w.-]*\s*=)")


def read_file(name: str) -> tuple[GpuJob | GpuService, tuple[str, ...]]:
    """The workload of a file, and what of a foreign file it could not express.

    Raises:
        Misuse: There is no such file.
        SpecError: It cannot be read, or describes no workload.
    """
    text, source = _text(name)
    suffix = Path(name).suffix.lower()
    if suffix not in {".json", ".toml"} and (_SBATCH.search(text) or suffix in {".sbatch", ".slurm"}):
        return _native("slurm", text, source)
    if suffix != ".toml" and _is_manifest(text):
        return _native("kubernetes", text, source)
    if text.startswith("#!") or suffix == ".sh":
        return GpuJob(script=text), ()
    if suffix in _PROGRAMS:
        raise Misuse(
            f"{name} is a program, not a workload file.", f"Write it as a command: -- {_PROGRAMS[suffix]} {name}"
        )
    if suffix == ".toml" or (suffix not in {".yaml", ".yml", ".json"} and _TOML.match(text)):
        return loads(text, "toml", source=source), ()
    if suffix == ".json":
        return loads(text, "json", source=source), ()
    return loads(text, "yaml", source=source), ()


def _is_manifest(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return _MANIFEST.search(text) is not None
    try:
        return "apiVersion" in json.loads(text)
    except ValueError:  # said by whoever reads it as JSON
        return False


def _text(name: str) -> tuple[str, str]:
    if name == STDIN:
        try:
            return sys.stdin.buffer.read().decode(), "stdin"
        except UnicodeDecodeError as e:
            raise SpecError(f"stdin is not UTF-8 text (byte {e.start}).", next_step="Convert it to UTF-8.") from e
    path = Path(name)
    if not path.exists():
        raise Misuse(
            f"There is no file {name!r}.",
            "Give a workload file, or write -- before a command: `gpujobs submit -- CMD`.",
        )
    return read_text(path), name


def _native(backend: str, text: str, source: str) -> tuple[GpuJob | GpuService, tuple[str, ...]]:
    from gpujobs._plugins import backend_class  # noqa: PLC0415  # loads a backend, which few files need
    from gpujobs.backend import SupportsImport  # noqa: PLC0415

    cls = backend_class(backend)
    if not isinstance(cls, SupportsImport):
        raise UnsupportedError(
            f"{source} is a file for {backend}, and the {backend} backend installed here reads none.",
            next_step="Write it as a gpujobs file; `gpujobs schema` prints the fields.",
        )
    return cls.read_native(text, path=source)
