"""``targets``, ``schema``, ``completion``, ``doctor`` and ``bootstrap``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from gpujobs import Client, Config, GpuJob, GpuService
from gpujobs.cli import main
from gpujobs.cli._completion import complete_refs
from gpujobs.cli._context import App
from gpujobs.results import Check

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli

CONFIG = """
default = "lab"
[targets.lab]
backend = "local"
token = "hunter2"
[targets.lab.defaults]
queue = "gpu"
[targets.lab.gpu_types]
h100 = "NVIDIA-H100"
"""


@pytest.fixture
def configured(cli: Cli, tmp_path: Path) -> Cli:
    """A configuration with the default target ``lab``."""
    path = tmp_path / "gpujobs.toml"
    path.write_text(CONFIG)
    cli.client = Client(Config.load(path), backends={"memory": cli.backend}, state_dir=tmp_path / "state")
    return cli


def test_list_has_the_configured_and_the_built_in(configured: Cli, tmp_path: Path) -> None:
    """Each target once, with its backend, where it comes from, and which is the default."""
    found = json.loads(configured("targets", "--json").out)

    source = str(tmp_path / "gpujobs.toml")
    assert found == [
        {"name": "kubernetes", "backend": "kubernetes", "default": False, "source": None},
        {"name": "lab", "backend": "local", "default": True, "source": source},
        {"name": "local", "backend": "local", "default": False, "source": None},
        {"name": "slurm", "backend": "slurm", "default": False, "source": None},
    ]
    assert json.loads(configured("targets", "list", "--json").out) == found
    assert f"lab\tlocal\tyes\t{source}" in configured("targets").out.splitlines()


def test_check_exits_1_if_something_is_wrong(cli: Cli) -> None:
    """All well is 0; one failed check is 1, and says what to do."""
    assert cli("targets", "check", "memory").out == "CHECK\tRESULT\tMESSAGE\tNEXT\nreach\tok\tit answers\t-\n"
    cli.backend.checks = [Check("gpu", ok=False, message="none", next="Buy one.")]

    ran = cli("targets", "check", "memory", "--json")

    assert ran.code == 1
    assert json.loads(ran.out) == [{"title": "gpu", "ok": False, "message": "none", "next": "Buy one."}]


def test_login_opens_the_connection(cli: Cli) -> None:
    """Login reaches the backend."""
    assert (cli("targets", "login", "memory").code, cli.backend.done) == (0, ["login"])


def test_rbac_prints_what_an_administrator_applies(cli: Cli) -> None:
    """The backend's text as it is; with --json its objects; options reach the backend."""
    assert cli("targets", "rbac", "memory").out == 'kind: "Role"\nname: "gpujobs"\n---\nkind: "RoleBinding"\n'
    ran = cli("targets", "rbac", "memory", "--cluster", "--account", "ci", "--json")

    assert (ran.code, json.loads(ran.out)) == (0, [{"kind": "Role", "name": "ci"}, {"kind": "ClusterRole"}])


@pytest.mark.parametrize("target", ["local", "slurm"])
def test_rbac_of_a_backend_without_roles_is_refused(configured: Cli, target: str) -> None:
    """Two lines that name the backend and where there are roles."""
    ran = configured("targets", "rbac", target)

    assert (ran.code, ran.out) == (1, "")
    assert ran.error_lines[0].startswith(f"Error: The {target} backend knows no roles")
    assert "kubernetes" in ran.error_lines[1]


@pytest.mark.parametrize("verb", ["show", "check", "login", "rbac"])
def test_unknown_targets_are_named(cli: Cli, verb: str) -> None:
    """The failure lists the targets there are."""
    ran = cli("targets", verb, "nowhere")

    assert (ran.code, ran.error_lines[0]) == (1, "Error: There is no target 'nowhere'.")
    assert "kubernetes, local, slurm" in ran.error_lines[1]


def test_a_broken_configuration_is_two_lines(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TOML errors name the file; help needs no configuration."""
    path = tmp_path / "broken.toml"
    path.write_text("a = \n[")
    monkeypatch.setenv("GPUJOBS_CONFIG", str(path))

    for words in (["ps"], ["targets"], ["submit", "--", "x"]):
        assert main(words) == 1
    seen = cli.capture.readouterr()
    lines = seen.err.decode().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith(f"Error: {path} is not valid TOML")
    assert main(["run", "--", "x"]) == 125
    assert main(["--help"]) == 0


@pytest.mark.parametrize(("kind", "model"), [("job", GpuJob), ("service", GpuService)])
def test_schema_has_every_field(cli: Cli, kind: str, model: type[GpuJob | GpuService]) -> None:
    """The JSON Schema names every field of the model and closes it."""
    found = json.loads(cli("schema", kind).out)

    assert set(found["properties"]) == set(model.model_fields)
    assert found["additionalProperties"] is False


def test_schema_of_both(cli: Cli) -> None:
    """Without a word: either of them."""
    found = json.loads(cli("schema").out)

    assert [one["$ref"] for one in found["anyOf"]] == ["#/$defs/GpuJob", "#/$defs/GpuService"]
    assert cli("schema", "other").code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(cli: Cli, shell: str) -> None:
    """Each shell's script asks gpujobs itself."""
    ran = cli("completion", shell)

    assert ran.code == 0
    assert f"_GPUJOBS_COMPLETE={shell}_complete" in ran.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_where_the_shell_looks(
    cli: Cli, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--install`` writes the same script below the home directory and prints where."""
    monkeypatch.setenv("HOME", str(tmp_path))

    ran = cli("completion", shell, "--install")

    path = Path(ran.out.strip())
    assert path.is_relative_to(tmp_path)
    assert path.read_text() == cli("completion", shell).out


def _complete(tmp_path: Path, *words: str) -> list[str]:
    path = tmp_path / "gpujobs.toml"
    path.write_text(CONFIG)
    env = os.environ | {
        "_GPUJOBS_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("gpujobs", *words)),
        "COMP_CWORD": str(len(words)),
        "GPUJOBS_CONFIG": str(path),
    }
    done = subprocess.run([sys.executable, "-m", "gpujobs.cli"], env=env, capture_output=True, text=True, check=True)
    return sorted(line.partition(",")[2] for line in done.stdout.splitlines())


def test_completes_verbs_options_and_targets(tmp_path: Path) -> None:
    """The tab key offers verbs, options, and the names of targets."""
    assert _complete(tmp_path, "ca") == ["cancel", "capacity"]
    assert _complete(tmp_path, "run", "--on-i") == ["--on-interrupt"]
    assert _complete(tmp_path, "ps", "--target", "l") == ["lab", "local"]
    assert _complete(tmp_path, "targets", "r") == ["rbac"]
    assert _complete(tmp_path, "targets", "rbac", "k") == ["kubernetes"]


def test_completes_refs_of_this_machine_only(cli: Cli, ref: str) -> None:
    """Refs come from local targets; nothing is asked elsewhere."""
    config = Config.parse('[targets.memory]\nbackend = "local"\n[targets.local]\nbackend = "slurm"\n')
    client = Client(config, backends={"memory": cli.backend})
    app = App(lambda: client)
    ctx = click.Context(click.Command("status"), obj=app)

    assert complete_refs(ctx, click.Argument(["ref"]), "memory://") == [ref]
    assert complete_refs(ctx, click.Argument(["ref"]), "slurm://") == []


def _mount(monkeypatch: pytest.MonkeyPatch, **attributes: object) -> None:
    module = types.ModuleType("gpujobs.bootstrap._cli")
    for name, value in attributes.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "gpujobs.bootstrap._cli", module)


@pytest.mark.parametrize("verb", ["doctor", "bootstrap"])
def test_what_this_build_lacks_is_said(cli: Cli, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the command line of ``gpujobs.bootstrap``: two lines, exit 1."""
    _mount(monkeypatch)

    ran = cli(verb, "--any", "words")

    assert (ran.code, len(ran.error_lines)) == (1, 2)
    assert f"`gpujobs {verb}` is not in this build" in ran.error_lines[0]


def test_the_bootstrap_is_mounted(cli: Cli) -> None:
    """It gets its words and its help like every verb, and what it does not know is a wrong usage in two lines."""
    for words in (["bootstrap", "--help"], ["bootstrap", "-h"]):
        shown = cli(*words).out
        assert shown.startswith("Usage: gpujobs bootstrap")
        assert "Slurm with GPUs, on one machine or several." in shown
        assert shown.rstrip().endswith("gpujobs bootstrap slurm plan")
    for words in (["bootstrap"], ["bootstrap", "nothing"], ["bootstrap", "slurm", "nodes", "add"], ["doctor", "--bad"]):
        bad = cli(*words)
        assert (bad.code, len(bad.error_lines)) == (2, 2)


def test_completes_the_words_of_the_bootstrap(tmp_path: Path) -> None:
    """The tab key knows its parts, their verbs, and the options of these."""
    assert _complete(tmp_path, "bootstrap", "gpu") == ["gpu-operator", "gpu-sharing"]
    assert _complete(tmp_path, "bootstrap", "slurm", "nodes", "") == ["add", "remove"]
    assert _complete(tmp_path, "bootstrap", "slurm", "apply", "--acc") == ["--accounting"]


def test_click_commands_are_mounted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A click command gives its exit code too, by returning it or by exiting with it."""

    @click.command()
    @click.option("--code", type=int)
    @click.pass_context
    def doctor(ctx: click.Context, code: int | None) -> int:
        if code is not None:
            ctx.exit(code)
        return 6

    _mount(monkeypatch, doctor=doctor)

    assert (cli("doctor").code, cli("doctor", "--code", "1").code) == (6, 1)
