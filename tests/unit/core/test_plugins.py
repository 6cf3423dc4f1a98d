"""Backends by entry point: found, opened with their own options, and every mistake told with its mending."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config, ConfigError, GpuJob, MissingExtraError, SpecError, UnsupportedError, formats
from gpujobs._plugins import backend_class, backend_names

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Install

GOOD = """
from gpujobs import GpuJob
from gpujobs.errors import SpecError
from gpujobs.testing import MemoryBackend, MemoryOptions

class Options(MemoryOptions):
    speed: int = 1

class Backend(MemoryBackend):
    name = "mine"
    options = Options

    @classmethod
    def read_native(cls, text, /, *, path):
        if not text.startswith("mine "):
            raise SpecError(f"{path} is no file of mine.")
        return GpuJob(command=text.split()[1:]), ("the colour",)
"""
LACKS = """
from gpujobs.errors import MissingExtraError
raise MissingExtraError("kubernetes", "kubernetes")
"""


def client_of(text: str, state: Path) -> Client:
    """A client of that configuration."""
    return Client(Config.parse(text), state_dir=state)


def test_a_strangers_backend_is_found_and_given_its_options(install: Install, tmp_path: Path) -> None:
    """Its refs carry its name; the target's own keys are validated by its own model."""
    install("mine", GOOD)
    client = client_of("[targets.t]\nbackend = 'mine'\ngpus = 2\nspeed = 3", tmp_path)

    assert "mine" in backend_names()
    assert str(client.submit(["x"], target="t").ref) == "mine://t/1"
    assert client.capacity("t").total == 2


@pytest.mark.parametrize(
    ("option", "words", "step"),
    [
        ("sped = 3", "has the unknown key 'sped'", "A mine target takes: backend, defaults, gpu_types, gpus, speed."),
        ("speed = 'fast'", "speed: Input should be a valid integer", "gpujobs targets show"),
    ],
)
def test_a_wrong_option_is_named(install: Install, tmp_path: Path, option: str, words: str, step: str) -> None:
    """With what the target takes."""
    install("mine", GOOD)
    with pytest.raises(ConfigError, match=words) as caught:
        client_of(f"[targets.t]\nbackend = 'mine'\n{option}", tmp_path).submit(["x"], target="t")
    assert step in caught.value.next_step


def test_a_missing_extra_says_the_exact_install_line(install: Install, tmp_path: Path) -> None:
    """Also where the plugin's own import needs it."""
    install("lacks", LACKS)
    with pytest.raises(MissingExtraError) as caught:
        client_of("[targets.t]\nbackend = 'lacks'", tmp_path).submit(["x"], target="t")
    assert caught.value.next_step == "Run: pip install 'gpujobs[kubernetes]'"
    assert caught.value.extra == "kubernetes"


@pytest.mark.parametrize("source", ["import no_such_module", "1 / 0", "", "def ("])
def test_a_broken_plugin_breaks_only_its_own_targets(install: Install, tmp_path: Path, source: str) -> None:
    """One clear error where it is used; the others do not notice."""
    install("broken", source)
    with pytest.raises(ConfigError, match=r"backend 'broken' \(plugin_broken:Backend\) cannot be imported"):
        client_of("[targets.t]\nbackend = 'broken'", tmp_path).submit(["x"], target="t")
    assert "broken" in backend_names()


def test_a_file_of_another_system_is_read_by_its_backend(install: Install, tmp_path: Path) -> None:
    """The workload, and what of the file it could not express."""
    install("mine", GOOD)
    (tmp_path / "job.mine").write_text("mine train --fast")
    assert formats.read_native("mine", tmp_path / "job.mine") == (
        GpuJob(command=["train", "--fast"]),
        ("the colour",),
    )


def test_what_cannot_be_read_as_another_systems_file_is_told(install: Install, tmp_path: Path) -> None:
    """Of another kind, not there, not text, an unknown backend, one that reads nothing."""
    install("mine", GOOD)
    install("memory", "from gpujobs.testing import MemoryBackend as Backend")
    (tmp_path / "other").write_text("#!/bin/sh")
    (tmp_path / "binary").write_bytes(b"\xff")
    for name, words in (("other", "is no file of mine"), ("none", "cannot be read"), ("binary", "not UTF-8")):
        with pytest.raises(SpecError, match=words):
            formats.read_native("mine", tmp_path / name)
    with pytest.raises(ConfigError, match="no backend 'nobody'"):
        formats.read_native("nobody", tmp_path / "other")
    with pytest.raises(UnsupportedError, match="memory backend reads no files"):
        formats.read_native("memory", tmp_path / "other")


def test_the_three_backends_come_with_the_package() -> None:
    """And an unknown one is told with those there are."""
    assert {"kubernetes", "local", "slurm"} <= set(backend_names())
    with pytest.raises(ConfigError, match="no backend 'slrum'") as caught:
        backend_class("slrum")
    assert "slurm" in caught.value.next_step
