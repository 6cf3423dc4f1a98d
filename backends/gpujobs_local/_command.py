"""What a supervisor runs for a task: the words, and the environment, of each of its processes."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING, Any

from gpujobs_local._gpus import environment as gpu_environment
from gpujobs_local._locks import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gpujobs_local._gpus import Device

# Where NVIDIA's programs lie beside the system's own: containers with a mounted driver, WSL.
_DRIVER_DIRS = ("/usr/local/nvidia/bin", "/usr/lib/wsl/lib")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def base_path() -> str:
    """The PATH of a job that inherits none."""
    return ":".join([_SYSTEM_PATH, *(d for d in _DRIVER_DIRS if os.path.isdir(d))])  # noqa: PTH112


def base_environment() -> dict[str, str]:
    """What every job has: who it is, where its home is, where programs are. Nothing of the submitting shell."""
    user = pwd.getpwuid(os.getuid())
    return {
        "PATH": base_path(),
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "SHELL": user.pw_shell or "/bin/sh",
        "LANG": "C.UTF-8",
    }


def environment(
    plan: Mapping[str, Any], private: Mapping[str, Mapping[str, str]], devices: Sequence[Device]
) -> dict[str, str]:
    """What all processes of a task share; later entries win over earlier ones."""
    return {
        **base_environment(),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        **private.get("inherited", {}),
        **plan.get("env", {}),
        **private.get("secrets", {}),
        **gpu_environment(devices),
    }


def identity(
    plan: Mapping[str, Any], *, ref: str, mark: str, idx: int, attempt: int, files: Path, local_rank: int
) -> dict[str, str]:
    """The variables by which a process knows which one it is."""
    world = plan.get("tasks_per_node", 1)
    numbers = {
        "ATTEMPT": attempt,
        "ARRAY_INDEX": idx,
        "ARRAY_SIZE": plan.get("array", 1),
        "NODE_RANK": 0,
        "NODES": 1,
        "LOCAL_RANK": local_rank,
        "RANK": local_rank,
        "WORLD_SIZE": world,
    }
    return {
        "GPUJOBS_REF": ref,
        "GPUJOBS_KEY": plan["key"],
        "GPUJOBS_FILES": str(files),
        MARK: mark,
        **{f"GPUJOBS_{name}": str(number) for name, number in numbers.items()},
    }


def words(plan: Mapping[str, Any], script: Path) -> list[str]:
    """The command as it is executed; a script runs under the program of its ``#!`` line, else under ``/bin/sh``."""
    if "command" in plan:
        argv = list(plan["command"])
    else:
        argv = [*interpreter(plan["script"]), str(script), *plan.get("args", ())]
    setup = plan.get("setup", ())
    if setup:
        lines = "\n".join(setup)
        argv = [_shell(), "-c", f'set -e\n{lines}\nset +e\nexec "$@"', argv[0], *argv]
    return argv


def interpreter(script: str) -> list[str]:
    """The program that runs a script: at most one argument follows it, as in execve(2)."""
    first = script.split("\n", 1)[0]
    return first[2:].split(None, 1) if first.startswith("#!") and first[2:].strip() else ["/bin/sh"]


def _shell() -> str:
    """Set-up lines load modules and virtual environments, which many sites write for bash."""
    return "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"  # noqa: PTH110


def missing(argv: Sequence[str], path: str, workdir: Path) -> tuple[int, str] | None:
    """(exit code as a shell's, sentence) where the program cannot be started; None where it is there."""
    program = argv[0]
    if "/" not in program:
        places = [os.path.join(workdir, where, program) for where in path.split(":")]  # noqa: PTH118
        there = any(os.access(p, os.X_OK) and not os.path.isdir(p) for p in places)  # noqa: PTH112
        return None if there else (_NOT_FOUND, f"{program}: command not found")
    found = workdir / program
    if not os.path.exists(found):  # noqa: PTH110  # that of Path raises for a name that is too long
        return _NOT_FOUND, f"{program}: no such file"
    if os.path.isdir(found) or not os.access(found, os.X_OK):  # noqa: PTH112
        return _NOT_EXECUTABLE, f"{program}: not executable"
    return None


def _free_port() -> int:
    """A port for the rendezvous of a job's processes: several jobs of this machine must not meet on one."""
    import socket  # noqa: PLC0415  # costs as much as the rest of this file

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
