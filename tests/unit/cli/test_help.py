"""Help, the table of verbs, the page about the command line, and what starting it costs."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from gpujobs.cli import _app
from gpujobs.cli._app import SECTIONS, VERBS, root
from gpujobs.cli._options import WorkloadVerb

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli

DESIGNED = [
    "run",
    "submit",
    "status",
    "ps",
    "logs",
    "wait",
    "cancel",
    "delete",
    "gc",
    "explain",
    "render",
    "exec",
    "scale",
    "restart",
    "update",
    "capacity",
    "targets",
    "doctor",
    "bootstrap",
    "schema",
]
PAGE = Path(__file__).parents[3] / "docs" / "cli.md"
HEAVY = {"kubernetes", "requests", "yaml", "rich", "typer", "tenacity", "pydantic", "gpujobs.client", "gpujobs_local"}


def _command(name: str) -> click.Command:
    found = root.get_command(click.Context(root, obj=_app.App()), name)
    assert found is not None
    return found


def test_every_designed_verb_is_there() -> None:
    """The verbs are those of the design, and completion."""
    assert set(VERBS) == {*DESIGNED, "completion"}


@pytest.mark.parametrize("name", sorted(VERBS))
def test_help_of_each_verb_ends_with_an_example(cli: Cli, name: str) -> None:
    """``--help`` exits 0 and its last lines are an example of that verb."""
    ran = cli(name, "--help")

    assert ran.code == 0
    assert f"Usage: gpujobs {name}" in ran.out
    last = ran.out.rstrip().rpartition("Example:")[2]
    assert f"gpujobs {name}" in last


@pytest.mark.parametrize("name", sorted(set(VERBS) - {"doctor", "bootstrap"}))
def test_the_list_of_verbs_says_what_each_verb_says(name: str) -> None:
    """The line in ``gpujobs --help`` is the first line of the verb's own help."""
    module, line = VERBS[name]

    assert importlib.import_module(f"gpujobs.cli.{module}")
    assert (_command(name).help or "").partition("\n")[0] == line


def test_help_lists_every_verb(cli: Cli) -> None:
    """``gpujobs --help``, and ``gpujobs`` alone, list all verbs by section."""
    ran = cli("--help")

    assert ran.code == 0
    assert all(f"\n  {name} " in ran.out for name in VERBS)
    assert all(f"{title}:" in ran.out for title in SECTIONS)
    assert cli().out == ran.out


@pytest.mark.parametrize("name", ["run", "submit", "render"])
def test_every_option_of_a_workload_has_its_section(cli: Cli, name: str) -> None:
    """The help of the verbs with many options sorts them; what is left over belongs to the verb itself."""
    shown = cli(name, "--help").out
    command = _command(name)
    assert isinstance(command, WorkloadVerb)

    assert all(f"\n{title}:\n" in shown for title in command.sections)
    assert all(max(p.opts, key=len) in shown for p in command.params if isinstance(p, click.Option))
    known = {p.name for p in command.params}
    assert [n for names in command.sections.values() for n in names.split() if n not in known] == []
    rest = shown.partition("\nOptions:\n")[2].partition("Example:")[0]
    assert not re.search(r"--(gpus|env|target|time|replicas) ", rest)


def test_version(cli: Cli) -> None:
    """``--version`` prints the installed version."""
    ran = cli("--version")

    assert (ran.code, bool(re.fullmatch(r"gpujobs \d\S*\n", ran.out))) == (0, True)


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["ps", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    """Help loads neither a backend, nor the client, nor pydantic, rich or yaml."""
    code = (
        "import sys\nfrom gpujobs.cli import main\nmain(sys.argv[1:])\n"
        f"print('LOADED', sorted({HEAVY!r} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_importing_the_package_imports_no_click() -> None:
    """``import gpujobs.cli`` costs nothing until ``main`` runs."""
    code = "import sys, gpujobs.cli; sys.exit('click' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", sorted(VERBS))
def test_the_page_has_every_verb_with_an_example(name: str) -> None:
    """docs/cli.md has a section per verb with a command line of it."""
    parts = PAGE.read_text().split("\n### ")
    section = next((p for p in parts if p.startswith(f"`{name}`")), "")

    assert re.search(rf"```console\n(?:.*\n)*?\$ gpujobs {name}\b", section), f"docs/cli.md: no example of {name}"


def test_the_page_names_every_exit_code() -> None:
    """docs/cli.md has a table row for each exit code that gpujobs itself gives."""
    page = PAGE.read_text()

    assert all(f"\n| {code} |" in page for code in ("0", "1", "2", "124", "125", "128+n", "130", "141"))


@pytest.mark.parametrize("name", sorted(set(VERBS) - {"doctor", "bootstrap"}))
def test_the_page_names_every_option(name: str) -> None:
    """No option of a verb is missing from docs/cli.md."""
    page = PAGE.read_text()
    command = _command(name)
    commands = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
    longest = {max(p.opts, key=len) for c in commands for p in c.params if isinstance(p, click.Option)}

    assert {o for o in longest if f"`{o}" not in page} == set()
