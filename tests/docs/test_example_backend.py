"""The example backend of the documentation: found by its own entry point, it keeps the contract."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config, ConfigError, UnsupportedError
from gpujobs.backend import SupportsDelete, SupportsScale
from gpujobs.testing.contract import CoreContract

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/example_backend"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package on the path, with the entry points of its own pyproject.toml, as pip would put it there."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = tmp_path / "site" / f"gpujobs_inline-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["gpujobs.backends"]
    (info / "entry_points.txt").write_text(
        "[gpujobs.backends]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
    )
    monkeypatch.setattr(sys, "path", [str(EXAMPLE), str(tmp_path / "site"), *sys.path])
    importlib.invalidate_caches()


@pytest.mark.usefixtures("installed")
class TestInline(CoreContract):
    """Ends, logs, keys and verbs, with real processes."""

    target = "mine"

    @pytest.fixture
    def client(self, tmp_path: Path) -> Iterator[Client]:
        """A client with one target of that backend."""
        config = Config.parse('[targets.mine]\nbackend = "inline"')
        with Client(config, state_dir=tmp_path / "state") as client:
            yield client

    def test_what_it_does_not_honour_is_refused_by_name(self, client: Client) -> None:
        """Whatever the field is."""
        for field, value in (("gpus", 1), ("array", 2), ("image", "x"), ("nodes", 2), ("retries", 1)):
            with pytest.raises(UnsupportedError, match=f"^{field}:"):
                client.submit(self.job("true", **{field: value}), target="mine")

    def test_its_options_are_validated(self, tmp_path: Path) -> None:
        """By its own model."""
        config = Config.parse('[targets.mine]\nbackend = "inline"\npth = "/bin"')
        with Client(config, state_dir=tmp_path / "state") as client, pytest.raises(ConfigError, match="'pth'"):
            client.submit(["true"], target="mine")

    def test_what_it_can_do_is_seen_by_its_methods(self, client: Client) -> None:
        """Deleting, and no scaling."""
        backend = client._session.backend("mine")
        assert isinstance(backend, SupportsDelete)
        assert not isinstance(backend, SupportsScale)
