"""The configuration: where it is found, and what each mistake is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config, ConfigError
from gpujobs.config import state_dir

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory and no variables."""
    for name in ("GPUJOBS_CONFIG", "GPUJOBS_TARGET", "GPUJOBS_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def test_without_a_file_there_are_three_targets_and_local_is_the_default() -> None:
    """So that everything can be tried at once."""
    config = Config.load()
    assert sorted(config.all_targets) == ["kubernetes", "local", "slurm"]
    assert config.target()[0] == "local"


def test_the_nearest_file_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """GPUJOBS_CONFIG before ./gpujobs.toml before the user's."""
    text = '[targets.{0}]\nbackend = "slurm"\n'
    (tmp_path / "xdg/gpujobs").mkdir(parents=True)
    (tmp_path / "xdg/gpujobs/gpujobs.toml").write_text(text.format("user"))
    assert "user" in Config.load().targets
    (tmp_path / "gpujobs.toml").write_text(text.format("here"))
    assert list(Config.load().targets) == ["here"]
    (tmp_path / "named.toml").write_text('default = "named"\n' + text.format("named"))
    monkeypatch.setenv("GPUJOBS_CONFIG", str(tmp_path / "named.toml"))
    assert Config.load().target()[0] == "named"
    monkeypatch.setenv("GPUJOBS_TARGET", "local")
    assert Config.load().target()[0] == "local"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("default = ", "not valid TOML"),
        ("defualt = 'x'", "unknown key 'defualt'"),
        ("default = 'lab'", "no target 'lab'"),
        ("[targets.lab]\nhost = 'x'", "targets.lab.backend"),
        ("[targets.'l b']\nbackend = 'slurm'", "cannot name a target"),
        ("[targets.lab]\nbackend = 'slurm'\n[targets.lab.defaults]\ngpu = 1", "unknown field 'gpu'"),
        ("targets = 3", "targets"),
    ],
)
def test_a_mistake_is_one_error_that_says_where(tmp_path: Path, text: str, words: str) -> None:
    """The file, the key, and what is allowed."""
    (tmp_path / "gpujobs.toml").write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        Config.load()
    assert "gpujobs.toml" in str(caught.value)


def test_a_file_that_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing one, and one that is no text."""
    monkeypatch.setenv("GPUJOBS_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="which is no file"):
        Config.load()
    (tmp_path / "gpujobs.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        Config.load(tmp_path / "gpujobs.toml")


def test_an_unknown_backend_names_the_known_ones(tmp_path: Path) -> None:
    """At first use of the target."""
    client = Client(Config.parse("[targets.lab]\nbackend = 'slrm'"), state_dir=tmp_path)
    with pytest.raises(ConfigError, match="no backend 'slrm'") as caught:
        client.submit(["x"], target="lab")
    assert "kubernetes, local, slurm" in caught.value.next_step


def test_a_wrong_default_value_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    """Not of the workload that meets it."""
    from gpujobs.testing import MemoryBackend  # noqa: PLC0415

    config = Config.parse("[targets.m]\nbackend = 'memory'\n[targets.m.defaults]\nmemory = '16G'")
    client = Client(config, backends={"m": MemoryBackend.create(target="m")}, state_dir=tmp_path)
    with pytest.raises(ConfigError, match=r"\[targets.m.defaults\]: memory: '16G' is ambiguous"):
        client.submit(["x"], target="m")


def test_the_state_directory_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else it is this user's."""
    assert state_dir() == tmp_path / "state/gpujobs"
    monkeypatch.setenv("GPUJOBS_STATE_DIR", "elsewhere")
    assert state_dir() == tmp_path / "elsewhere"
