"""What several tests of the core need: plugins that are not installed, and a backend that counts."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING, Protocol

import pytest

from gpujobs import Client, Config, UnavailableError
from gpujobs.testing import MemoryBackend, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpujobs import Ref, Status
    from gpujobs.backend import Submission, Submitted


class Install(Protocol):
    """Makes a module and its entry point."""

    def __call__(self, name: str, source: str, *, attribute: str = "Backend") -> None:
        """The backend ``name`` is ``attribute`` of a module with that source."""
        ...


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package with a ``gpujobs.backends`` entry point on the path, as pip would, for one test."""
    site = tmp_path / "site"
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])

    def make(name: str, source: str, *, attribute: str = "Backend") -> None:
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"plugin_{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[gpujobs.backends]\n{name} = plugin_{name}:{attribute}\n")
        importlib.invalidate_caches()

    return make


class Counting(MemoryBackend):
    """A memory backend that counts how often it is asked."""

    questions = 0
    submissions = 0
    _count = threading.Lock()

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """Count, then take them."""
        with self._count:
            self.submissions += 1
        return super().submit(items)

    def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
        """Count, then tell."""
        with self._count:
            self.questions += 1
        return super().statuses(refs)


@pytest.fixture
def counting() -> Counting:
    """Jobs of fifty seconds that write one line, on a manual clock."""
    backend = Counting.create(outcome=lambda _: Outcome(output=b"hello\n", seconds=50))
    assert isinstance(backend, Counting)
    return backend


@pytest.fixture
def quick_client(counting: Counting, tmp_path: Path) -> Client:
    """A client of the counting backend alone."""
    return Client(Config(), backends={"memory": counting}, clock=counting.clock, state_dir=tmp_path)


class Flaky(MemoryBackend):
    """A memory backend whose line to the system can be cut, before or after the system took something."""

    cut_before = 0
    cut_after = 0
    down = False
    submissions = 0
    questions = 0

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """Count; lose the request, or lose the reply."""
        self.submissions += 1
        if self.cut_before:
            self.cut_before -= 1
            return [UnavailableError("The line was cut.") for _ in items]
        results = super().submit(items)
        if self.cut_after:
            self.cut_after -= 1
            return [UnavailableError("The reply was lost.") for _ in items]
        return results

    def statuses(self, refs: Sequence[Ref], /) -> list[Status]:
        """Count; refuse while down."""
        self.questions += 1
        if self.down:
            raise UnavailableError("Nobody answers.", next_step="Wait.")
        return super().statuses(refs)


@pytest.fixture
def backend() -> Flaky:
    """Jobs of five seconds that write one line."""
    backend = Flaky.create(outcome=lambda _: Outcome(output=b"hello\n", seconds=5))
    assert isinstance(backend, Flaky)
    return backend


@pytest.fixture
def client(backend: Flaky, tmp_path: Path) -> Client:
    """A client of that backend alone."""
    return Client(Config(), backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path)
