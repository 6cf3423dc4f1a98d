"""What the bootstrap's commands share: how they are made, and the options that most of them take."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from gpujobs.bootstrap._cli_output import misuse, show_output
from gpujobs.bootstrap.shell import LocalShell, SshShell, sudo_shell
from gpujobs.cli._errors import Misuse
from gpujobs.cli._options import several
from gpujobs.cli._output import is_terminal, to_stderr
from gpujobs.cli._verb import SETTINGS, verb
from gpujobs.errors import GpuJobsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.bootstrap.shell import Shell

LOCAL = "localhost"
_INTERRUPTED = 130


def _destination(_: click.Context, param: click.Parameter, value: str) -> str:
    """A machine's name; one that begins with a dash is an option that lost its place.

    Raises:
        Misuse: It is none.
    """
    if not value.strip() or value.startswith("-"):
        raise Misuse(f"{param.opts[0]}: {value!r} is no machine.", f"Write it as {param.opts[0]} root@gpu01.")
    return value


machine_options = several(
    [
        click.option(
            "--host",
            metavar="USER@HOST",
            default=LOCAL,
            show_default=True,
            callback=_destination,
            help="The machine, over ssh; this one if it is not given.",
        ),
        click.option("--sudo", is_flag=True, help="Become root there by `sudo -n`."),
        click.option(
            "--ssh-option",
            multiple=True,
            metavar="WORD",
            help="A word for ssh, such as -p2222 or -F./ssh.conf; may be repeated.",
        ),
    ]
)
as_json = click.option("--json", "json_", is_flag=True, help="Print one JSON document instead of text.")
yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


class _OnMachines(click.Command):
    """A command that runs others on machines, and whose options become a wish."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it.

        Raises:
            Misuse: An option has a value that it cannot have.
            GpuJobsError: It failed; what a command on a machine had printed has been shown by then.
        """
        try:
            return super().invoke(ctx)
        except ValidationError as e:
            raise misuse(e, ctx) from e
        except GpuJobsError as e:
            show_output(e)
            raise
        except KeyboardInterrupt:
            changes = "yes" in ctx.params
            go_on = "; what is done stays done: run the same command again and it goes on from there" if changes else ""
            # On a terminal the step that was being done still stands on this line.
            begin = "\n" if is_terminal(sys.stderr) else ""
            to_stderr(f"{begin}Interrupted{go_on}.\n")
            raise click.exceptions.Exit(_INTERRUPTED) from None


def command(*examples: str, name: str | None = None) -> Callable[[Callable[..., Any]], Any]:
    """Make a function a command of the bootstrap."""
    return verb(*examples, name=name, cls=_OnMachines)


class InOrder(click.Group):
    """Commands that its help lists in the order in which a person uses them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they were added."""
        del ctx
        return list(self.commands)


def group(name: str, title: str, *commands: click.Command) -> click.Group:
    """Commands that belong together; the help ends with an example of the first."""
    made = InOrder(name, help=title, context_settings=SETTINGS, epilog=commands[0].epilog, no_args_is_help=False)
    for one in commands:
        made.add_command(one)
    return made


def on_machine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which machine; the function gets ``host`` and ``connect`` for them."""

    @machine_options
    @functools.wraps(function)
    def reach(*, host: str, sudo: bool, ssh_option: Sequence[str], **options: Any) -> Any:
        return function(host, connector(sudo=sudo, ssh_options=ssh_option), **options)

    return reach


def connector(*, sudo: bool, ssh_options: Sequence[str]) -> Callable[[str], Shell]:
    """How a machine's name becomes a way to reach it, until the command ends."""
    end = click.get_current_context()

    def connect(name: str) -> Shell:
        if name == LOCAL:
            return sudo_shell() if sudo else LocalShell()
        shell = SshShell(name, options=tuple(ssh_options), sudo=sudo)
        end.call_on_close(shell.close)
        return shell

    return connect


def given(**options: Any) -> dict[str, Any]:
    """The options that were given: what may be repeated is empty where it was not."""
    return {name: value for name, value in options.items() if value is not None and value != ()}
