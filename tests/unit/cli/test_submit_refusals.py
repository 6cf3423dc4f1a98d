"""What means nothing is refused in two lines that name the option or the field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Cli


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--time 90 -- x", "--time: 90 is ambiguous: write 90s."),
        ("--deadline 1.5 -- x", "--deadline: 1.5 is ambiguous: write 1.5s."),
        ("--time soon -- x", "--time: 'soon' is not a time"),
        ("--memory 16G -- x", "--memory: '16G' is ambiguous: write 16GiB"),
        ("--memory 16 -- x", "--memory: 16 would be 16 bytes: write 16GiB."),
        ("--gpus=-1 -- x", "--gpus: '-1' does not name GPUs"),
        ("--gpus h100:0 -- x", "--gpus: Input should be greater than or equal to 1"),
        ("--nodes 0 -- x", "--nodes: '0' is not a whole number from 1 on."),
        ("--retries=-1 -- x", "--retries: '-1' is not a whole number from 0 on."),
        ("--cpus nan -- x", "--cpus: "),
        ("--array 0-3%2 -- x", "--array: '0-3%2' is not a number of elements."),
        ("--parallelism 2 -- x", "parallelism limits an array"),
        ("--env 1=2 -- x", "'1' is not a name for an environment variable"),
        ("--env NOT_SET_HERE -- x", "--env: 'NOT_SET_HERE' is not set here"),
        ("--env =x -- x", "--env: "),
        ("--label a -- x", "--label: 'a' is not NAME=VALUE."),
        ("--file a=/no/such -- x", "--file: '/no/such' cannot be read: No such file or directory."),
        ("--file a=/ -- x", "--file: '/' cannot be read: Is a directory."),
        ("--file ../a=/etc/hostname -- x", "'../a' is not a path of a file below"),
        ("--volume nope -- x", "--volume: "),
        ("--after nope -- x", "--after: "),
        ("--sharing time-slice -- x", "--sharing says something about GPUs, but none are asked for."),
        ("--sharing mig --gpus 1 -- x", "sharing 'mig' needs a profile"),
        ("--replicas 2 --retries 1 --name n -- x", "--retries does not belong to a service."),
        ("--no-such -- x", "--no-such"),
        ("", "There is nothing to run."),
        ("--", "There is nothing to run."),
        ("nofile.yaml", "There is no file 'nofile.yaml'."),
        ("a.yaml b.yaml", "Got unexpected extra argument"),
    ],
)
def test_what_the_options_mean_nothing_for_exits_2(cli: Cli, words: str, said: str) -> None:
    """Each bad value is two lines that name the option, and exit code 2; nothing is sent."""
    ran = cli("submit", *words.split())

    assert (ran.code, ran.out, len(ran.error_lines)) == (2, "", 2)
    assert said in ran.error_lines[0]
    assert ran.error_lines[1].startswith("Next: ")
    assert cli.backend.specs == []


def test_the_value_of_a_secret_is_refused_and_not_repeated(cli: Cli) -> None:
    """A secret on argv is refused with the reason; its value appears nowhere, not even with ``--debug``."""
    ran = cli("submit", "--debug", "--secret", "TOKEN=hunter2", "--", "x")

    assert ran.code == 2
    assert "every user of this machine can read it" in ran.err
    assert "hunter2" not in ran.err + ran.out


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("j.yaml", "command: [x\n", "j.yaml is not valid YAML"),
        ("j.json", "{", "j.json is not valid JSON"),
        ("j.toml", "a = ", "j.toml is not valid TOML"),
        ("j.yaml", "comand: [x]\n", "unknown field 'comand'"),
        ("j.yaml", "- x\n", "j.yaml holds no table of fields."),
        ("j.yaml", "memory: 16G\ncommand: [x]\n", "memory: '16G' is ambiguous"),
        ("j.yaml", "", "j.yaml holds no table of fields."),
    ],
)
def test_a_file_that_means_nothing_is_two_lines(cli: Cli, tmp_path: Path, name: str, text: str, said: str) -> None:
    """A bad file is a failure (1) that names the file and the field, on two lines however long the parser's message."""
    (tmp_path / name).write_text(text)

    ran = cli("submit", name)

    assert (ran.code, ran.out, len(ran.error_lines)) == (1, "", 2)
    assert said in ran.error_lines[0]


def test_a_directory_and_binary_data_are_refused(cli: Cli, tmp_path: Path) -> None:
    """Neither is a workload."""
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe")

    assert "cannot be read: Is a directory" in cli("submit", ".").error_lines[0]
    assert "is not UTF-8" in cli("submit", "b.yaml").error_lines[0]
    assert "stdin is not UTF-8" in cli("submit", "-", stdin=b"\xff").error_lines[0]


def test_an_option_of_a_service_does_not_fit_a_job_file(cli: Cli, tmp_path: Path) -> None:
    """An option that the file's kind has no field for is named."""
    (tmp_path / "j.yaml").write_text("kind: job\ncommand: [x]\n")

    ran = cli("submit", "j.yaml", "--replicas", "2")

    assert (ran.code, ran.error_lines[0]) == (
        2,
        "Error: --replicas does not belong to a job, which the file describes.",
    )
