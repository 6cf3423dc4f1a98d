"""The public names: sorted, complete, and each where it says it is."""

from __future__ import annotations

import ast
import importlib
import inspect
import operator
import pkgutil
from pathlib import Path

import pytest

import gpujobs

SURFACE = (
    "Client Gpu GpuJob GpuService Job LogLine Port Probe Reason Ref Secret Service State Status Volume "
    "attach cancel capacity delete explain list_jobs logs render status submit submit_many wait"
)
OTHERS = ("gpujobs.cli", "gpujobs.bootstrap")


def public_modules() -> list[str]:
    """Every module of the package whose path has no private part, but for the programs built on it."""
    found = [m.name for m in pkgutil.walk_packages(gpujobs.__path__, "gpujobs.")]
    return ["gpujobs", *(m for m in found if "._" not in m and not m.startswith(OTHERS))]


def test_the_surface_of_the_design_is_there() -> None:
    """Name by name, and ``dir`` shows it."""
    assert set(SURFACE.split()) <= set(gpujobs.__all__) <= set(dir(gpujobs))


def test_every_public_name_can_be_loaded_lazily() -> None:
    """A name that is not there is an AttributeError."""
    for name in gpujobs.__all__:
        assert getattr(gpujobs, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        operator.attrgetter("nothing")(gpujobs)


@pytest.mark.parametrize("name", public_modules())
def test_all_is_sorted_and_complete(name: str) -> None:
    """Every public class and function that a module defines is in ``__all__``, and nothing that is not there."""
    module = importlib.import_module(name)
    exported: list[str] = module.__all__
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
    }

    assert exported == sorted(exported)
    assert defined <= set(exported)
    assert [key for key in exported if not hasattr(module, key)] == []


@pytest.mark.parametrize("backend", ["gpujobs_local", "gpujobs_slurm", "gpujobs_kubernetes"])
def test_a_backend_stands_on_public_modules_only(backend: str) -> None:
    """What ours need of the core anybody may use."""
    folder = Path(importlib.import_module(backend).__file__ or "").parent
    words = [
        node.module or ""
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
    ]

    assert "gpujobs.backend" in words
    assert [word for word in words if word.startswith("gpujobs._")] == []


def test_public_things_say_what_they_do() -> None:
    """Each has a docstring, and so has each public method."""
    for name in gpujobs.__all__:
        thing = getattr(gpujobs, name)
        members = [m for n, m in vars(thing).items() if not n.startswith("_")] if inspect.isclass(thing) else []
        functions = [m for m in members if inspect.isfunction(m)]
        assert [f for f in (thing, *functions) if not inspect.getdoc(f)] == []


def test_the_contract_is_part_of_the_testing_module() -> None:
    """Under the name that its own module has too; what is not there is said as usual."""
    from gpujobs import testing  # noqa: PLC0415  # only here
    from gpujobs.testing import BackendContract, contract  # noqa: PLC0415

    assert BackendContract is contract.BackendContract
    with pytest.raises(AttributeError, match="nothing"):
        _ = testing.nothing
