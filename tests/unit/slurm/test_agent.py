"""The agent for login nodes: the program that is sent, and both ends of the pipe."""

from __future__ import annotations

import ast
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from gpujobs import AuthError, BackendError, UnavailableError
from gpujobs_slurm._agent import Agent
from gpujobs_slurm._bundle import LOADER, program, sources
from gpujobs_slurm._ssh import short_enough, socket_directory


def local_agent(before: str = "") -> Agent:
    """An agent behind a shell instead of ssh."""
    line = f'{before} exec {sys.executable} -u -c "{LOADER}"'
    return Agent(["sh", "-c", line], "login", "python3")


@pytest.mark.parametrize("name", sorted(sources()))
def test_what_is_sent_is_syntax_of_python_3_6(name: str) -> None:
    """Login nodes are old."""
    ast.parse(sources()[name], feature_version=(3, 6))
    assert "__future__" not in sources()[name]


def test_requests_are_answered_side_by_side(tmp_path: Path) -> None:
    """A slow one holds up no quick one; bytes survive; a banner is passed over."""
    agent = local_agent(before="echo Welcome to login; echo; ")
    go, slow = tmp_path / "go", list[int]()
    until_told = ["sh", "-c", 'until [ -e "$0" ]; do sleep 0.05; done', str(go)]
    waiting = threading.Thread(
        target=lambda: slow.append(agent.request("run", [until_told])["result"]["rc"]), daemon=True
    )
    waiting.start()

    done = agent.request("run", [["cat"], bytes(range(256))])
    assert done["result"]["out"] == bytes(range(256))
    assert slow == []
    go.touch()
    waiting.join(60)
    assert slow == [0]
    agent.close()
    assert not agent.alive


def test_an_error_comes_back_as_one(tmp_path: Path) -> None:
    """Of the file system with its number, of the agent with its name."""
    agent = local_agent()
    assert agent.request("send_again", [str(tmp_path), "no", "n", [], 1.0])["oserror"][0] == 2
    assert "KeyError" in agent.request("no_such_operation", [])["error"]
    agent.close()


def test_a_connection_that_breaks_is_told_to_all_who_wait() -> None:
    """In mid-answer; what was asked may or may not have been done."""
    agent = local_agent()
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            agent.request("run", [["sleep", "30"]])
        except UnavailableError as e:
            errors.append(e)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    agent._process.kill()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 3
    assert not agent.alive
    with pytest.raises(UnavailableError):
        agent.request("whoami", [])
    agent.close()


@pytest.mark.parametrize(
    ("complaint", "error", "part"),
    [
        ("alice@login: Permission denied (publickey).", AuthError, "let us in"),
        ("Host key verification failed.", AuthError, "host key"),
        ("ssh: connect to host login port 22: Connection refused", UnavailableError, "refused"),
        ("sh: 1: exec: python3: not found", BackendError, "has no python3"),
    ],
)
def test_a_connection_that_never_comes_says_why(complaint: str, error: type[Exception], part: str) -> None:
    """One clear error for each."""
    with pytest.raises(error, match=part):
        Agent(["sh", "-c", f"cat >/dev/null & echo '{complaint}' >&2; exit 255"], "login", "python3")


def test_the_program_greets_with_its_nonce() -> None:
    """So that nothing a login shell prints can be taken for it."""
    assert b"serve('abc')" in program("abc")


def test_sockets_lie_where_their_path_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Unix socket's path has about 100 bytes, and a temporary directory may be deep as well."""
    short, long = Path("/state/ssh"), Path("/state", "x" * 80)
    monkeypatch.setattr("tempfile.tempdir", "/var/tmp")
    assert (short_enough(short), short_enough(long).parent) == (short, Path("/var/tmp"))

    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert short_enough(long).parent == Path("/tmp")


def test_sockets_lie_in_a_private_directory() -> None:
    """One that others may enter is refused."""
    with tempfile.TemporaryDirectory(prefix="gj", dir="/tmp") as made:  # pytest's own may be too long
        directory = socket_directory(Path(made))
        assert directory.stat().st_mode & 0o777 == 0o700
        directory.chmod(0o755)
        with pytest.raises(UnavailableError, match="private"):
            socket_directory(Path(made))
