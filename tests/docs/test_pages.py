"""The pages say what is so: blocks run, quotations are exact, links lead somewhere, tables are complete."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gpujobs import Config, GpuJob, GpuService, Reason, State
from gpujobs import errors as errors_module

from ._blocks import PAGES, ROOT, Block, blocks, to_run

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Place

LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<to>[^)\s]+)\)")


@pytest.mark.parametrize("block", to_run("python"), ids=str)
def test_python_blocks_run(place: Place, block: Block) -> None:
    """As they stand on the page; a block of tests is run by pytest."""
    if "def test_" in block.text:
        (place.directory / "test_block.py").write_text(block.text)
        place.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_block.py")
    else:
        (place.directory / "block.py").write_text(block.text)
        place.python("block.py")


def commands(block: Block) -> list[str]:
    """What a console block says was typed."""
    lines = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
    assert lines
    return lines


@pytest.mark.parametrize("block", [b for b in blocks("console") if b.remark == "run"], ids=str)
def test_console_blocks_that_say_so_run(place: Place, block: Block) -> None:
    """Line by line in one shell, which stops at the first that fails."""
    place.run(["bash", "-euxo", "pipefail", "-c", "\n".join(commands(block))])


@functools.cache
def options_of(verb: str) -> set[str]:
    """The options that the help of a verb shows."""
    shown = subprocess.run(
        [sys.executable, "-m", "gpujobs.cli", verb, "--help"], check=True, capture_output=True, text=True
    )
    return set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", shown.stdout))


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_console_blocks_use_verbs_and_options_that_are_there(block: Block) -> None:
    """Those after the command of a job (``--``) are its own."""
    for line in commands(block):
        for verb, words in re.findall(r"gpujobs ([a-z]+)((?: [^|>]*)?)", line):
            ours = words.split(" -- ")[0]
            assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", ours)) <= options_of(verb), line


@pytest.mark.parametrize("block", [b for b in blocks("toml") if "[targets." in b.text], ids=str)
def test_configurations_are_read(block: Block) -> None:
    """Each is a whole configuration whose default exists."""
    assert Config.parse(block.text).target()[0]


@pytest.mark.parametrize("block", [b for b in blocks("python", "toml") if b.remark.startswith("from ")], ids=str)
def test_quotations_are_exact(block: Block) -> None:
    """What is shown is in the file that it names, word for word."""
    assert block.text in (ROOT / block.remark.removeprefix("from ")).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that it has."""
    for match in LINK.finditer(page.read_text()):
        to, _, anchor = match["to"].partition("#")
        if "://" in to:
            continue
        target = (page.parent / to).resolve() if to else page
        assert target.exists(), f"{match['to']} is not there"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in anchors, f"{match['to']}: there are {sorted(anchors)}"


def test_the_readme_has_two_commands_that_set_up() -> None:
    """Each is a program of this repository that can be run."""
    commands = [block.text.strip() for block in blocks("sh") if block.page == "README.md"]
    assert len(commands) == 2
    for command in commands:
        program = ROOT / shlex.split(command)[0]
        assert program.stat().st_mode & 0o111


def named_in(page: str) -> set[str]:
    """The words in backticks in the first cell of every row of the page's tables."""
    cells = re.findall(r"^\| ([^|]*) \|", (ROOT / page).read_text(), re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def test_every_field_is_documented() -> None:
    """And none that is not there."""
    fields = (set(GpuJob.model_fields) | set(GpuService.model_fields)) - {"kind"}
    named = named_in("docs/models.md")
    assert fields <= named
    models = {"Gpu", "Secret", "Volume", "Port", "Probe", "After", "Toleration", "Rollout"}
    assert {n.partition(".")[0].split(" ")[0] for n in named - models} <= fields


def test_every_error_state_and_reason_is_documented() -> None:
    """And none that is not there."""
    named = named_in("docs/errors-and-exit-codes.md")
    assert {n for n in named if n.endswith("Error")} == set(errors_module.__all__)
    assert {n for n in named if n.isupper()} == {str(s) for s in State}
    listed = (ROOT / "docs/errors-and-exit-codes.md").read_text().split("next step:\n\n")[1].split("\n\n")[0]
    assert re.findall(r"`([^`]+)`", listed) == [str(r) for r in Reason]
