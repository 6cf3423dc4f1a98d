"""The Slurm beds, installed and started once per session and brought down at its end."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpujobs import Client, Config

sys.path.insert(0, str(Path(__file__).with_name("lib")))
from slurm_beds import Cluster, bed
from slurm_tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROLLING = "sid"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here need the bed. Those that look at what takes a minute come last; what they look at begins first."""
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.slurm)
    late = [item for item in ours if item.path.name == "test_ends.py"]
    for name in ("plain", "accounted", "newer", "newest"):
        if ours and any(f"[{name}" in item.name for item in late):
            ours[0].fixturenames.insert(0, f"{name}_table")  # type: ignore[attr-defined]  # a function's item has it
    items[:] = [item for item in items if item not in late] + late


def _unfit() -> str:
    """Why the bed cannot run here, or nothing."""
    if os.geteuid() != 0:
        return "it needs root"
    release = Path("/etc/os-release")
    text = release.read_text() if release.exists() else ""
    return "" if "ID=debian" in text or "ID=ubuntu" in text else "it needs Debian or Ubuntu"


@pytest.fixture(scope="session")
def installed() -> None:
    """Slurm of this distribution, MariaDB and sshd."""
    why = _unfit()
    if why and "slurm" in os.environ.get("GPUJOBS_REQUIRE", "").split(","):
        pytest.fail(f"the Slurm bed is required, but cannot run: {why}")
    if why:
        pytest.skip(f"SLURM BED NOT RUN: {why}")
    bed("install.sh")


def _cluster(name: str, base: int, *options: str) -> Iterator[Cluster]:
    cluster = Cluster(name, base, options).up()
    yield cluster
    cluster.down()


@pytest.fixture(scope="session")
def plain(installed: None) -> Iterator[Cluster]:
    """22.05 without accounting; the queue forgets a job after 300 s."""
    yield from _cluster("gj-plain", 17000)


@pytest.fixture(scope="session")
def accounted(installed: None) -> Iterator[Cluster]:
    """22.05 with slurmdbd and preemption; the queue forgets a job after some seconds, so sacct has to answer."""
    yield from _cluster("gj-acct", 17100, "--acct", "on", "--preempt", "on", "--minjobage", "5")


def chroot_cluster(suite: str, name: str, base: int, *options: str) -> Iterator[Cluster]:
    """A cluster of another version; Debian's rolling suite may be broken for a day, which is told and skipped."""
    try:
        bed("install.sh", suite)
    except RuntimeError as e:
        if suite != ROLLING:
            raise
        pytest.skip(f"SLURM OF {suite} NOT RUN: its chroot cannot be made: {e}")
    yield from _cluster(name, base, "--suite", suite, *options)


@pytest.fixture(scope="session")
def newer(installed: None) -> Iterator[Cluster]:
    """24.11 without accounting; the queue forgets a job after some seconds, so its own record has to answer."""
    yield from chroot_cluster("trixie", "gj-k24", 17200, "--minjobage", "5")


@pytest.fixture(scope="session")
def newest(installed: None) -> Iterator[Cluster]:
    """26.05 with accounting."""
    yield from chroot_cluster("sid", "gj-k26", 17300, "--acct", "on")


def _table(cluster: Cluster, factory: pytest.TempPathFactory) -> Iterator[Table]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environ.items():
            patch.setenv(name, value)
        table = Table.start(cluster, factory.mktemp("state"))
    yield table
    table.client.close()


@pytest.fixture(scope="session")
def plain_table(plain: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """The cases on 22.05."""
    yield from _table(plain, tmp_path_factory)


@pytest.fixture(scope="session")
def accounted_table(accounted: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """The cases on 22.05 with slurmdbd."""
    yield from _table(accounted, tmp_path_factory)


@pytest.fixture(scope="session")
def newer_table(newer: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """The cases on 24.11."""
    yield from _table(newer, tmp_path_factory)


@pytest.fixture(scope="session")
def newest_table(newest: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """The cases on 26.05 with slurmdbd."""
    yield from _table(newest, tmp_path_factory)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cluster], None]:
    """Let this process be a client of a cluster."""

    def set_variables(cluster: Cluster) -> None:
        for name, value in cluster.environ.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.fixture
def connect(use: Callable[[Cluster], None], tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Make a client of a cluster: target ``lab``, with a job directory of its own."""
    clients: list[Client] = []
    directories: list[Path] = []

    def make(cluster: Cluster, keys: str = "", job_dir: Path | None = None) -> Client:
        use(cluster)
        directory = job_dir or cluster.shared / f"jobs-{uuid.uuid4().hex[:12]}"
        directories.append(directory)
        config = Config.parse(f'default = "lab"\n[targets.lab]\nbackend = "slurm"\njob_dir = "{directory}"\n{keys}')
        client = Client(config, state_dir=tmp_path / f"state{len(clients)}")
        clients.append(client)
        return client

    yield make
    for client in clients:
        open_ = [s.ref for s in client.list_jobs()]
        if open_:
            client.cancel(open_)
            client.wait(open_, timeout=120)  # the next test counts what is free
        client.close()
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)
