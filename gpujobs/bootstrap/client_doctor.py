"""What is wrong with gpujobs itself on this machine: its configuration, its state, its ways to other machines."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from gpujobs._journal import Journal
from gpujobs.bootstrap.doctor import Trouble
from gpujobs.bootstrap.shell import LocalShell
from gpujobs.config import Config, state_dir
from gpujobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gpujobs.bootstrap.shell import Shell

_HOUR_S = 3600
_NETWORKED = ("nfs", "cifs", "smb", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph", "9p")


def checkup(
    host: str, connect: Callable[[str], Shell], *, targets: tuple[str, ...] | None = None
) -> tuple[list[Trouble], dict[str, Shell]]:
    """The troubles of gpujobs on this machine.

    Args:
        host: What this machine is called in them.
        connect: Not needed: this is always the machine this runs on.
        targets: Whose ssh is tried; None for all that are configured.
    """
    del connect
    shell = LocalShell(host)
    troubles = list(_state(host, state_dir()))
    try:
        config = Config.load()
    except ConfigError as e:
        return [Trouble(host, "the configuration is wrong", e.message, advice=e.next_step or ""), *troubles], {
            host: shell
        }
    chosen = config.targets if targets is None else {name: config.target(name)[1] for name in targets}
    for name, table in chosen.items():
        troubles += _ssh(shell, host, name, table.options)
    return troubles, {host: shell}


def _ssh(shell: Shell, host: str, name: str, options: dict[str, object]) -> Iterator[Trouble]:
    destination = options.get("host")
    if options.get("transport") != "ssh" or not isinstance(destination, str):
        return
    given = options.get("ssh_options") or ()
    words = tuple(str(word) for word in given) if isinstance(given, (list, tuple)) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    argv = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *words, "--", destination, "true")
    tried = shell.run(argv, timeout_s=30)
    if not tried.ok:
        yield Trouble(
            host,
            f"{destination}, the host of the target {name}, cannot be reached over ssh",
            tried.last_line,
            advice=f"Make `ssh {destination} true` work without a question: a key in the agent, and a known host.",
        )


def _state(host: str, directory: Path) -> Iterator[Trouble]:
    existing = next((path for path in (directory, *directory.parents) if path.exists()), directory)
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Trouble(
            host,
            f"the state directory {directory} cannot be written",
            "Every submission is noted there before it is sent, so none can be made.",
            advice="Give it to this user, or name another with GPUJOBS_STATE_DIR.",
        )
        return
    kind = filesystem(str(existing), _mounts())
    if kind.startswith(_NETWORKED):
        yield Trouble(
            host,
            f"the state directory {directory} is on a network file system ({kind})",
            "The local target's GPU locks do not hold there; other targets are not concerned.",
            advice="Name a local directory with GPUJOBS_STATE_DIR.",
        )
    yield from _open(host, directory)


def _open(host: str, directory: Path) -> Iterator[Trouble]:
    entries, broken = Journal(directory).open()
    for e in [unreadable.error() for unreadable in broken]:
        yield Trouble(host, "the journal of submissions cannot be read", e.message, advice=e.next_step)
    old = [entry for entry in entries if time.time() - entry.began_at > _HOUR_S]
    if old:
        yield Trouble(
            host,
            f"{len(old)} submissions were begun and their outcome is not known",
            f"The oldest is for the target {old[0].target}, with the key {old[0].key}.",
            advice="Settle them: gpujobs submit --resume.",
        )


def _mounts() -> str:
    try:
        with open("/proc/mounts", encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # a file of the kernel
            return file.read()
    except OSError:  # not Linux
        return ""


# server:/home /home nfs4 rw,relatime 0 0
def filesystem(path: str, mounts: str) -> str:
    """The kind of file system a path is on, from /proc/mounts."""
    rows = [line.split() for line in mounts.splitlines()]
    above = [row for row in rows if len(row) > 2 and (f"{path}/").startswith(row[1].rstrip("/") + "/")]  # noqa: PLR2004
    return max(above, key=lambda row: len(row[1]))[2] if above else ""
