"""A machine of files only: this one, below a temporary directory and without root."""

import grp
import os
import pwd
from pathlib import Path

import pytest

from gpujobs.bootstrap import Completed, Journal, LocalShell, Machine
from gpujobs.bootstrap.shell import Held


@pytest.fixture
def me() -> str:
    """The user and group that run the tests, as ``user:group``."""
    return f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"


@pytest.fixture
def machine(tmp_path: Path, me: str) -> Machine:
    """This machine, with its journal below the temporary directory."""
    shell = LocalShell("here")
    state, backups = str(tmp_path / "gpujobs/bootstrap"), str(tmp_path / "backups")
    return Machine("here", shell, Journal(shell, "test", directory=state, backups=backups, user=me))


@pytest.fixture
def lock_file(tmp_path: Path) -> str:
    """A lock of this test's own."""
    return str(tmp_path / "lock")


def _completed(answer: str | int | Completed) -> Completed:
    if isinstance(answer, Completed):
        return answer
    return Completed((), answer) if isinstance(answer, int) else Completed((), 0, answer.encode())


class ScriptedShell:
    """A machine that answers each command from a table, by the first words that fit, and remembers what was run."""

    def __init__(self, name: str = "there") -> None:
        self.name = name
        self.ran: list[str] = []
        self._answers: list[tuple[str, list[Completed]]] = []

    def answer(self, start: str, *answers: str | int | Completed) -> None:
        """Let a command that starts so give these texts (exit code 0) or exit codes, the last one for ever."""
        self._answers.insert(0, (start, [_completed(answer) for answer in answers]))

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout_s: float = 120) -> Completed:
        """Give the next answer of the first entry that fits; a command nobody told it about succeeds in silence."""
        del stdin, timeout_s
        line = " ".join(argv)
        self.ran.append(line)
        for start, results in self._answers:
            if line.startswith(start):
                result = results.pop(0) if len(results) > 1 else results[0]
                return Completed(argv, result.exit_code, result.stdout, result.stderr)
        return Completed(argv, 0)

    def hold(self, argv: tuple[str, ...]) -> Held:
        """Hold a real lock: there is no need to pretend."""
        return LocalShell().hold(argv)


@pytest.fixture
def scripted() -> ScriptedShell:
    """A machine that answers from a table."""
    return ScriptedShell()


@pytest.fixture
def scripted_machine(scripted: ScriptedShell, machine: Machine) -> Machine:
    """The machine of the table, with its journal on the real disk."""
    return Machine("there", scripted, machine.journal)


@pytest.fixture
def bed(tmp_path: Path) -> Path:
    """microk8s: a directory of stand-ins, their state, and alice's home."""
    stand_in = Path(__file__).parent / "stand_ins/stand_in.py"
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    for name in ("snap", "microk8s", "usermod", "gpasswd", "getent", "groupdel", "id", "install"):
        (tmp_path / "bin" / name).symlink_to(stand_in)
    (tmp_path / "bin/chown").symlink_to("/bin/true")  # there is no alice
    return tmp_path
