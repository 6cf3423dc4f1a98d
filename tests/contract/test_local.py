"""The local backend keeps the whole contract, with real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config, GpuJob
from gpujobs.testing.contract import BackendContract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = '[targets.local]\nbackend = "local"\ngpus = 4\n'


class TestLocal(BackendContract):
    """On four pretended GPUs."""

    target = "local"

    @pytest.fixture
    def client(self, tmp_path: Path) -> Iterator[Client]:
        """A client with a state directory of its own."""
        with Client(Config.parse(CONFIG), state_dir=tmp_path) as client:
            yield client

    def unsupported(self) -> tuple[str, GpuJob]:
        """No container runs here."""
        return "image", self.job("true", image="busybox")
