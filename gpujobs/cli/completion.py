"""``completion``: tab completion for bash, zsh and fish."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from gpujobs.cli import _output as output
from gpujobs.cli._errors import Misuse
from gpujobs.cli._verb import verb

_PLACES = {
    "bash": ".local/share/bash-completion/completions/gpujobs",
    "zsh": ".local/share/zsh/site-functions/_gpujobs",
    "fish": ".config/fish/completions/gpujobs.fish",
}
_AFTER = {
    "bash": "Open a new shell (with the package bash-completion).",
    "zsh": "Put ~/.local/share/zsh/site-functions into fpath before compinit in ~/.zshrc, and open a new shell.",
    "fish": "Open a new shell.",
}


@verb("gpujobs completion bash --install", 'eval "$(gpujobs completion zsh)"')
@click.argument("shell", type=click.Choice(list(_PLACES)))
@click.option("--install", is_flag=True, help="Write it where the shell looks for it.")
@click.pass_context
def completion(ctx: click.Context, *, shell: str, install: bool) -> None:
    """Print or install tab completion for a shell."""
    made = get_completion_class(shell)
    if made is None:
        raise Misuse(f"There is no completion for {shell}.")
    text = made(ctx.find_root().command, {}, "gpujobs", "_GPUJOBS_COMPLETE").source()
    if not install:
        output.line(text)
        return
    path = Path.home() / _PLACES[shell]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    output.line(str(path))
    output.note(_AFTER[shell])
