"""Machines to set up: bare Debian roots, each with its own processes, network and host name, reached over real ssh."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpujobs.bootstrap import LocalShell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gpujobs-testbed/bootstrap"
ADDRESSES = {"c1": 2, "n1": 3, "n2": 4}
# What an apply and an undo leave behind by their nature: the package manager's own memory, caches and run files.
ASIDE = (
    *("/dev", "/proc", "/run", "/srv", "/sys", "/tmp", "/var/cache", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/pam"),
    *("/etc/.pwd.lock", "/etc/group-", "/etc/gshadow-", "/etc/passwd-", "/etc/shadow-", "/etc/subgid-", "/etc/subuid-"),
    *("/etc/ld.so.cache", "/var/lib/systemd/deb-systemd-helper-enabled", "/var/lib/ucf"),
    *("/var/log/alternatives.log", "/var/log/apt", "/var/log/dpkg.log"),
)


# Program -> the package of Debian and Ubuntu that has it.
NEEDED = {
    "debootstrap": "debootstrap",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "pgrep": "procps",
}


def _missing() -> list[str]:
    return [name for name in NEEDED if not shutil.which(name)]


def _install() -> None:
    """What is missing, where there is a package for it; what goes wrong shows as still missing."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wait = ("-o", "DPkg::Lock::Timeout=300")
    packages = sorted({NEEDED[name] for name in _missing()})
    for words in (("update", "-q"), ("install", "-yq", "--no-install-recommends", *packages)):
        subprocess.run(["apt-get", *wait, *words], check=False, env=environment, stdout=subprocess.DEVNULL)


def _obstacle() -> str:
    if os.geteuid() != 0:
        return "it needs root"
    if _missing() and shutil.which("apt-get"):
        _install()
    return f"it needs {', '.join(_missing())}" if _missing() else ""


@pytest.fixture(scope="session", autouse=True)
def _possible() -> None:
    """Skip where machines cannot be made, and fail there if they are required."""
    why = _obstacle()
    if why and "bootstrap" in os.environ.get("GPUJOBS_REQUIRE", "").split(","):
        pytest.fail(f"GPUJOBS_REQUIRE names bootstrap, and {why}.")
    if why:
        pytest.skip(f"bootstrap's machines cannot be made: {why}")


@dataclass(frozen=True)
class Ran:
    """A command of gpujobs that has ended."""

    exit_code: int
    out: str
    err: str


@dataclass(frozen=True)
class Bed:
    """The machines' network, and gpujobs as its user runs it from there."""

    switch: str
    ssh_config: Path

    def command(self, *words: str, program: str = "gpujobs.bootstrap") -> list[str]:
        """The argv of ``gpujobs bootstrap WORDS``, inside the network."""
        there = ["nsenter", f"--net=/proc/{self.switch}/ns/net", "--"]
        return [*there, sys.executable, "-m", program, *words, f"--ssh-option=-F{self.ssh_config}"]

    def bootstrap(self, *words: str) -> Ran:
        """Run ``gpujobs bootstrap WORDS`` to its end."""
        return self._run(self.command(*words))

    def doctor(self, *words: str) -> Ran:
        """Run ``gpujobs doctor WORDS`` to its end."""
        return self._run(self.command("doctor", *words, program="gpujobs.cli"))

    @staticmethod
    def _run(argv: list[str]) -> Ran:
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=240)
        return Ran(ended.returncode, ended.stdout, ended.stderr)


@dataclass(frozen=True)
class Box:
    """One machine."""

    name: str
    shell: LocalShell

    def sh(self, script: str) -> str:
        """What a shell script prints there; it has to succeed."""
        completed = self.shell.run(("sh", "-c", script))
        assert completed.ok, f"{script}: {completed.text}{completed.error_text}"
        return completed.text.strip()

    def tree(self) -> dict[str, str]:
        """Every path with its kind, mode, owner, and a file's content, but for what the package manager keeps."""
        pruned = " -o ".join(f"-path {path}" for path in ASIDE)
        found = f"find / -xdev \\( {pruned} \\) -prune -o"
        listed = self.sh(f"{found} -printf '%p\\t%y %m %U:%G %l\\n'").splitlines()
        # What is below /usr is the packages' own and large: its paths, modes and owners will do.
        digests = self.sh(f"{found} -path /usr -prune -o -type f -print0 | xargs -0 sha256sum").splitlines()
        contents = {path: digest for digest, _, path in (line.partition("  ") for line in digests)}
        rows = (line.partition("\t") for line in listed)
        return {path: f"{state} {contents.get(path, '')}".strip() for path, _, state in rows if path}

    def processes(self) -> set[str]:
        """The daemons that run there."""
        return set(self.sh("ps -eo comm=").split()) & {
            "munged",
            "slurmctld",
            "slurmd",
            "slurmdbd",
            "mariadbd",
            "slurmrestd",
        }


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """The roots, made once on this computer, and a network for this session."""
    place = tmp_path_factory.mktemp("bed")
    for suite in ("bookworm", "trixie", "noble"):
        made = subprocess.run([HERE / "bed.sh", "root", suite], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    switch = subprocess.run(
        [HERE / "bed.sh", "switch", place], capture_output=True, text=True, check=True
    ).stdout.strip()
    config = place / "ssh_config"
    hosts = "".join(f"Host {name}\n  HostName 10.77.0.{n}\n" for name, n in ADDRESSES.items())
    config.write_text(
        f"{hosts}Host *\n  User root\n  IdentityFile {place}/key\n  StrictHostKeyChecking no\n"
        "  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
    )
    yield Bed(switch, config)
    os.kill(int(switch), signal.SIGKILL)


@pytest.fixture
def power(tmp_path: Path) -> Callable[[str], None]:
    """Cut the power of a machine: ``power("n1")``. What is on its disk stays."""

    def cut(name: str) -> None:
        subprocess.run([HERE / "bed.sh", "down", tmp_path / name], check=True)

    return cut


@pytest.fixture
def boot(bed: Bed, tmp_path: Path, power: Callable[[str], None]) -> Iterator[Callable[..., Box]]:
    """Start machines, bare the first time: ``boot("c1", suite="trixie", gpus=2)``; they end with the test."""
    booted: set[str] = set()

    def start(name: str, *, suite: str = "bookworm", gpus: int = 2, fresh: bool = False) -> Box:
        place, key = tmp_path / name, bed.ssh_config.parent / "key"
        booted.add(name)
        if fresh:
            shutil.rmtree(place)
        shutil.copyfile(CACHE / f"root/{suite}.key", key)
        key.chmod(0o600)
        words = [str(place), suite, name, str(ADDRESSES[name]), str(gpus), bed.switch]
        up = subprocess.run([HERE / "bed.sh", "up", *words], capture_output=True, text=True, check=False)
        assert up.returncode == 0, up.stderr
        prefix = ("nsenter", "-t", up.stdout.strip(), "-m", "-u", "-n", "-p", "-i", "-r", "-w", "--")
        return Box(name, LocalShell(name, prefix=prefix))

    yield start
    for name in booted:
        power(name)
        shutil.rmtree(tmp_path / name)
