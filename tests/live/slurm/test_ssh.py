"""The login node over ssh: the same answers, and a clear error for each way it can fail."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from slurm_beds import SLAB, bed
from slurm_tables import until_running

from gpujobs import AuthError, BackendError, Client, Config, GpuJob, LogLine, State, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slurm_beds import Cluster

PORT = 17522
DELAY_MS = 25


@pytest.fixture(scope="module")
def login(plain: Cluster) -> Iterator[Path]:
    """An sshd of our own; ``login`` is near, ``slow`` 25 ms away. Its ssh configuration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLUSTER", plain.name)
        patch.setenv("SSHNODE", "gj-ssh")
        bed("sshnode.sh", "up", str(PORT), str(DELAY_MS))
        yield SLAB / "gj-ssh" / "config"
        bed("sshnode.sh", "down", check=False)


@pytest.fixture
def connect_ssh(login: Path, plain: Cluster) -> Iterator[Callable[..., Client]]:
    """Make a client of the login node, as alice."""
    short = Path(tempfile.mkdtemp(prefix="gj", dir="/tmp"))  # sockets need a short path
    clients: list[Client] = []

    def make(host: str = "login", more: str = "", options: tuple[str, ...] = ()) -> Client:
        words = ", ".join(f'"{w}"' for w in ("-F", str(login), *options))
        text = f"""
            default = "lab"
            [targets.lab]
            backend = "slurm"
            transport = "ssh"
            host = "{host}"
            ssh_options = [{words}]
            job_dir = "{plain.shared}/alice-{uuid.uuid4().hex[:12]}"
            {more}
        """
        client = Client(Config.parse(text), state_dir=short / f"{len(clients)}")
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
    for socket in short.rglob("ssh/*"):
        subprocess.run(["ssh", "-F", str(login), "-S", str(socket), "-O", "exit", "login"], stderr=-3, check=False)
    shutil.rmtree(short)


@pytest.mark.parametrize("host", ["login", "slow"])
def test_a_job_s_whole_life_over_ssh(connect_ssh: Callable[..., Client], host: str) -> None:
    """Submit, follow, files, secrets, end, list, bulk, cancel, delete: as on the cluster itself."""
    client = connect_ssh(host)
    job = client.submit(
        GpuJob(
            command=["sh", "-c", 'id -un; cat "$GPUJOBS_FILES/f"; for i in 1 2 3; do echo $i; sleep 0.3; done; exit 7'],
            files={"f": b"\xff\n"},
            gpus=1,
        )
    )
    assert [line.raw for line in job.logs(follow=True)] == [b"alice\n", b"\xff\n", b"1\n", b"2\n", b"3\n"]
    assert job.wait(timeout=120).exit_code == 7
    assert [line.text for line in job.logs(tail=1)] == ["3"]

    many = client.submit_many([GpuJob(command=["sh", "-c", f"exit {i}"]) for i in range(3)])
    assert [s.exit_code for s in client.wait(many, timeout=120)] == [0, 1, 2]
    sleeper = client.submit(["sleep", "300"], grace=1)
    until_running(sleeper)
    assert sleeper.exec(["hostname"]).exit_code == 0
    sleeper.cancel()
    assert sleeper.wait(timeout=120).state is State.CANCELLED
    assert len(client.list_jobs(finished=True)) == 5
    client.delete([job, sleeper, *many])
    assert client.list_jobs(finished=True) == []


def test_a_cut_connection_is_opened_again(connect_ssh: Callable[..., Client]) -> None:
    """A follower goes on at the right byte; a submission that was cut runs once."""
    client = connect_ssh(options=("-o", "ControlMaster=no", "-o", "ControlPath=none"))
    job = client.submit(["sh", "-c", "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; sleep 0.1; done"])
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.extend(line.text for line in job.logs(follow=True)), daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while len(seen) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    connections = children("ssh")
    for pid in connections:
        os.kill(pid, signal.SIGKILL)
    thread.join(60)
    assert connections

    assert seen == [f"line {i}" for i in range(1, 61)]
    assert job.wait(timeout=120).succeeded


def children(name: str) -> list[int]:
    """Our own child processes of that name."""
    found = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())], stdout=-1, text=True, check=False)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if line.split()[1] == name]


@pytest.mark.parametrize("host", ["login", "slow"])
def test_the_bytes_of_a_log_survive_a_cut(connect_ssh: Callable[..., Client], host: str) -> None:
    """None twice, none lost, also where they are no text and no lines; afterwards they are the same."""
    client = connect_ssh(host, options=("-o", "ControlMaster=no", "-o", "ControlPath=none"))
    script = r"printf 'a\377'; for i in $(seq 60); do printf '\r%d%%' $i; sleep 0.1; done; printf '\nend'"
    job = client.submit(["sh", "-c", script])
    pieces: list[bytes | LogLine] = []
    thread = threading.Thread(target=lambda: pieces.extend(job.log_bytes(follow=True)), daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while len(pieces) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for pid in children("ssh"):
        os.kill(pid, signal.SIGKILL)
    thread.join(120)

    whole = b"a\xff" + b"".join(b"\r%d%%" % i for i in range(1, 61)) + b"\nend"
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == whole
    assert [piece for piece in pieces if not isinstance(piece, bytes)] == []
    assert list(job.log_bytes()) == [whole]


def test_one_connection_serves_all(connect_ssh: Callable[..., Client]) -> None:
    """Many jobs and followers at once: one ssh process, and no session refused."""
    client = connect_ssh()
    jobs = client.submit_many(
        [GpuJob(command=["sh", "-c", f"echo {i}; sleep 1"], memory=f"{100 + i}MiB") for i in range(20)]
    )
    outputs: dict[int, list[str]] = {}

    def follow(i: int) -> None:
        outputs[i] = [line.text for line in jobs[i].logs(follow=True)]

    threads = [threading.Thread(target=follow, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    running = len(children("ssh"))
    for thread in threads:
        thread.join(90)

    assert outputs == {i: [str(i)] for i in range(20)}
    assert running == 1


@pytest.mark.parametrize(
    ("host", "more", "options", "error", "part"),
    [
        ("login", 'python = "/no/python3"', (), BackendError, "no /no/python3"),
        ("login", "", ("-o", "UserKnownHostsFile=/dev/null", "-o", "ControlPath=none"), AuthError, "host key"),
        ("login", "", ("-o", "PubkeyAuthentication=no", "-o", "ControlPath=none"), AuthError, "let us in"),
        ("login", "", ("-o", "Port=1"), UnavailableError, "refused"),
        ("no-such-host.invalid", "", (), UnavailableError, "resolve"),
    ],
)
def test_a_way_that_is_closed_says_why(  # noqa: PLR0917  # one parameter for each thing that differs
    connect_ssh: Callable[..., Client],
    host: str,
    more: str,
    options: tuple[str, ...],
    error: type[Exception],
    part: str,
) -> None:
    """No prompt, no hang: one clear error for each."""
    client = connect_ssh(host, more, options)

    with pytest.raises(error, match=part):
        client.submit(["true"])


def test_an_old_python_on_the_login_node_is_enough(connect_ssh: Callable[..., Client]) -> None:
    """The system's own, with nothing of gpujobs installed."""
    client = connect_ssh(more='python = "/usr/bin/python3"')

    assert client.submit(["true"]).wait(timeout=120).succeeded
