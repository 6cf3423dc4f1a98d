"""From the name of a backend to its class, and from a target's table to a backend."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from gpujobs.backend import Backend, Runtime, Target
from gpujobs.config import config_error
from gpujobs.errors import ConfigError, GpuJobsError

if TYPE_CHECKING:
    from gpujobs.config import TargetTable

GROUP = "gpujobs.backends"


def backend_names() -> list[str]:
    """The names of all installed backends."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def backend_class(name: str) -> type[Backend]:
    """The class behind an entry point.

    Raises:
        ConfigError: No installed package offers it, or the one that does cannot be imported.
    """
    points: list[EntryPoint] = list(entry_points(group=GROUP, name=name))
    if not points:
        raise ConfigError(
            f"There is no backend {name!r}.",
            next_step=f"Installed backends: {', '.join(backend_names()) or 'none (is gpujobs installed?)'}.",
        )
    try:
        return cast("type[Backend]", points[0].load())
    except GpuJobsError:
        raise
    except Exception as e:
        raise ConfigError(
            f"The backend {name!r} ({points[0].value}) cannot be imported: {type(e).__name__}: {e}.",
            next_step="Reinstall the package that provides it.",
        ) from e


def open_target(name: str, table: TargetTable, runtime: Runtime) -> Backend:
    """A backend for a target, its options validated; nothing is connected yet.

    Raises:
        ConfigError: The backend is not there, or an option of the target is unknown or wrong.
    """
    cls = backend_class(table.backend)
    try:
        options = cls.options.model_validate(table.options)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted({"backend", "defaults", "gpu_types", *cls.options.model_fields}))
            raise ConfigError(
                f"[targets.{name}] has the unknown key {first['loc'][0]!r}.",
                next_step=f"A {table.backend} target takes: {known}.",
            ) from e
        raise config_error(f"[targets.{name}]", e) from e
    target = Target(
        name=name, backend=table.backend, options=options, gpu_types=table.gpu_types, defaults=table.defaults
    )
    return cls(target, runtime)
