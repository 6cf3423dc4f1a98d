"""Targets: named, configured backends, from one TOML file and ``GPUJOBS_*`` variables.

The file is ``$GPUJOBS_CONFIG``, else ``./gpujobs.toml``, else ``gpujobs.toml`` in the user's configuration directory.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import platformdirs
from pydantic import ConfigDict, Field, ValidationError

from gpujobs._model import Model
from gpujobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Config", "TargetTable", "config_error", "config_path", "state_dir"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
FILE_NAME = "gpujobs.toml"


class TargetTable(Model):
    """One ``[targets.NAME]`` table as written; the keys that are not here are the backend's own."""

    model_config = ConfigDict(frozen=True, extra="allow")

    backend: str
    defaults: dict[str, Any] = Field(default_factory=dict)
    gpu_types: dict[str, str] = Field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """The backend's own keys, not yet validated."""
        return dict(self.model_extra or {})


_BUILT_IN = {name: TargetTable(backend=name) for name in ("local", "slurm", "kubernetes")}


class Config(Model):
    """All targets and which one is meant when none is named.

    Attributes:
        targets: The configured ones; ``local``, ``slurm`` and ``kubernetes`` exist also unconfigured.
        source: The file it came from, or None.
    """

    default: str | None = None
    targets: dict[str, TargetTable] = Field(default_factory=dict)
    source: Path | None = None

    @classmethod
    def load(cls, path: Path | str | None = None) -> Config:
        """Read the configuration that applies here, or the given file.

        Raises:
            ConfigError: It cannot be read, is no TOML, or has a key that nobody knows.
        """
        found = Path(path) if path is not None else config_path()
        config = cls() if found is None else cls.parse(_read(found), source=found)
        chosen = os.environ.get("GPUJOBS_TARGET")
        if chosen:
            config.target(chosen, origin="GPUJOBS_TARGET")
            config = config.model_copy(update={"default": chosen})
        return config

    @classmethod
    def parse(cls, text: str, *, source: Path | None = None) -> Config:
        """Read TOML text.

        Raises:
            ConfigError: It is no TOML, or has a key that nobody knows.
        """
        where = str(source) if source else "the configuration"
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as e:
            raise ConfigError(f"{where} is not valid TOML: {e}.", next_step="Mend the line it names.") from e
        unknown = sorted(set(table) - {"default", "targets"})
        if unknown:
            raise ConfigError(
                f"{where} has the unknown key {unknown[0]!r}.",
                next_step="Known at the top are 'default' and the tables [targets.NAME].",
            )
        try:
            config = cls.model_validate({**table, "source": source})
        except ValidationError as e:
            raise config_error(where, e) from e
        for name, target in config.targets.items():
            _check_target(where, name, target)
        if config.default is not None:
            config.target(config.default, origin=f"default in {where}")
        return config

    def target(self, name: str | None = None, *, origin: str = "") -> tuple[str, TargetTable]:
        """The target of that name, or the default one.

        Raises:
            ConfigError: There is no such target; the message names those there are.
        """
        chosen = name or self.default or "local"
        table = self.all_targets.get(chosen)
        if table is None:
            raise ConfigError(
                f"There is no target {chosen!r}" + (f" (named by {origin})." if origin else "."),
                next_step=f"Known targets: {', '.join(sorted(self.all_targets))}. Add [targets.{chosen}] to "
                f"{self.source or FILE_NAME}, or choose one of these.",
            )
        return chosen, table

    @property
    def all_targets(self) -> Mapping[str, TargetTable]:
        """The configured targets and the built-in ones that no table redefines."""
        return {**_BUILT_IN, **self.targets}


def config_path() -> Path | None:
    """The file that applies here, or None where there is none.

    Raises:
        ConfigError: ``GPUJOBS_CONFIG`` names a file that is not there.
    """
    named = os.environ.get("GPUJOBS_CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(f"GPUJOBS_CONFIG names {named!r}, which is no file.", next_step="Correct or unset it.")
        return path
    for path in (Path(FILE_NAME), platformdirs.user_config_path("gpujobs") / FILE_NAME):
        if path.is_file():
            return path
    return None


def state_dir() -> Path:
    """``GPUJOBS_STATE_DIR``, else this user's state directory; absolute, not necessarily there yet."""
    named = os.environ.get("GPUJOBS_STATE_DIR")
    return Path(named).expanduser().absolute() if named else platformdirs.user_state_path("gpujobs")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as e:
        raise ConfigError(f"{path} cannot be read: {e.strerror}.", next_step="Check its owner and mode.") from e
    except UnicodeDecodeError as e:
        raise ConfigError(f"{path} is not UTF-8 text: {e.reason} at byte {e.start}.", next_step="Mend it.") from e


def _check_target(where: str, name: str, target: TargetTable) -> None:
    from gpujobs.specs import GpuJob, GpuService  # noqa: PLC0415  # models cost time that reading names does not need

    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: {name!r} cannot name a target.",
            next_step="Use letters, digits, '.', '_' and '-', starting with a letter or digit.",
        )
    fields = set(GpuJob.model_fields) | set(GpuService.model_fields)
    for key in target.defaults:
        if key not in fields or key == "kind":
            raise ConfigError(
                f"{where}: [targets.{name}.defaults] has the unknown field {key!r}.",
                next_step=f"Fields of a workload are: {', '.join(sorted(fields - {'kind'}))}.",
            )


def config_error(where: str, error: ValidationError) -> ConfigError:
    """One sentence for the first thing that pydantic found wrong."""
    first = error.errors(include_url=False, include_context=False)[0]
    at = ".".join(str(p) for p in cast("tuple[object, ...]", first["loc"]))
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return ConfigError(
        f"{where}: {at or 'the table'}: {first['msg'].removeprefix('Value error, ')} (it is {first['input']!r}){more}.",
        next_step="Mend that key; `gpujobs targets show NAME` prints what a target takes.",
    )
