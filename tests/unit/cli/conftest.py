"""The command line over an in-memory backend that also runs services."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest

from gpujobs import Client, Config, Ref
from gpujobs.cli import main
from gpujobs.results import Check, ExecResult
from gpujobs.testing import MemoryBackend, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpujobs.backend import Submission, Submitted
    from gpujobs.specs import GpuJob, GpuService


class ServingBackend(MemoryBackend):
    """Jobs of one second as the memory backend has them, and what a backend may do besides; it notes what it did."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came
        self.specs: list[GpuJob | GpuService] = []
        self.done: list[object] = []
        self.checks = [Check("reach", ok=True, message="it answers")]

    def submit(self, items: Sequence[Submission], /) -> list[Submitted]:
        """Note the workloads; a service is only noted."""
        self.specs += [item.spec for item in items]
        refs: list[Submitted] = []
        for item in items:
            service = item.spec.kind == "service"
            refs += [Ref("memory", "memory", f"service/{item.key}")] if service else super().submit([item])
        return refs

    def exec(self, ref: Ref, argv: Sequence[str], /, *, replica: int = 0, stdin: bytes | None = None) -> ExecResult:
        """Echo what was asked."""
        self.done.append(("exec", str(ref), tuple(argv), replica, stdin))
        return ExecResult(7, b"out\n", b"err\n")

    def exec_interactive(self, ref: Ref, argv: Sequence[str], /, *, replica: int = 0) -> int:
        """Note it."""
        self.done.append(("interactive", str(ref), tuple(argv), replica))
        return 8

    def scale(self, ref: Ref, replicas: int, /) -> None:
        """Note it."""
        self.done.append(("scale", str(ref), replicas))

    def restart(self, ref: Ref, /) -> None:
        """Note it."""
        self.done.append(("restart", str(ref)))

    def update(self, ref: Ref, item: Submission, /) -> None:
        """Note it."""
        self.done.append(("update", str(ref), item.spec.command))

    def endpoints(self, ref: Ref, /) -> list[str]:
        """One."""
        return [f"{ref.target}:80"]

    def check(self) -> list[Check]:
        """As the test set them."""
        return self.checks

    def login(self) -> None:
        """Note it."""
        self.done.append("login")

    def rbac(self, *, account: str = "gpujobs", cluster: bool = False) -> str:
        """Two objects, named after what was asked."""
        return f'kind: "Role"\nname: "{account}"\n---\nkind: "{"ClusterRole" if cluster else "RoleBinding"}"\n'


@dataclass
class Ran:
    """What one command line gave."""

    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        """The lines on stderr."""
        return self.err.splitlines()


class Cli(Protocol):
    """Runs one command line in this process."""

    backend: ServingBackend
    client: Client
    capture: pytest.CaptureFixture[bytes]

    def __call__(self, *words: str, stdin: bytes = b"") -> Ran:
        """Run it."""
        ...


@dataclass
class _Cli:
    backend: ServingBackend
    client: Client
    capture: pytest.CaptureFixture[bytes]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *words: str, stdin: bytes = b"") -> Ran:
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self.capture.readouterr()
        code = main(words, client_factory=lambda: self.client)
        seen = self.capture.readouterr()
        return Ran(code, seen.out.decode(), seen.err.decode())


def _outcome(item: Submission) -> Outcome:
    """``work [CODE [SECONDS]]`` ends with that code after that time; every log is the variable OUT."""
    words = item.spec.command[1:] if item.spec.command[:1] == ("work",) else ()
    code, seconds = (*words, *("0", "1")[len(words) :])
    return Outcome(int(code), item.spec.env.get("OUT", "hello\n").encode(), float(seconds))


@pytest.fixture
def cli(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line with one target, ``memory``; jobs of one second on a clock that stands still."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPUJOBS_STATE_DIR", str(tmp_path / "state"))
    for name in ("GPUJOBS_CONFIG", "GPUJOBS_TARGET", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    backend = ServingBackend.create(outcome=_outcome)
    assert isinstance(backend, ServingBackend)
    client = Client(Config(), backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path / "state")
    return _Cli(backend, client, capsysbinary, monkeypatch)


@pytest.fixture
def ref(cli: Cli) -> str:
    """A job that has been submitted and runs."""
    ran = cli("submit", "--name", "first", "--label", "a=b", "--", "work", "3")
    assert ran.code == 0
    cli.client.status(ran.out.strip())
    return ran.out.strip()
