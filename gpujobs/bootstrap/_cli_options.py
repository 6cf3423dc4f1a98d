"""Options that several bootstrap commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gpujobs.bootstrap.shell import LocalShell, SshShell, sudo_shell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.bootstrap.shell import Shell

LOCAL = "localhost"

Host = Annotated[
    str, typer.Option("--host", metavar="USER@HOST", help="The machine, over ssh; this one if it is not given.")
]
Sudo = Annotated[bool, typer.Option("--sudo", help="Become root there by `sudo -n`.")]
SshOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ssh-option", metavar="WORD", help="A word for ssh, such as -p2222 or -F./ssh.conf; may be repeated."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def connector(*, sudo: bool, ssh_options: Sequence[str] | None) -> Callable[[str], Shell]:
    """How a machine's name becomes a way to reach it."""

    def connect(name: str) -> Shell:
        if name == LOCAL:
            return sudo_shell() if sudo else LocalShell()
        return SshShell(name, options=tuple(ssh_options or ()), sudo=sudo)

    return connect
