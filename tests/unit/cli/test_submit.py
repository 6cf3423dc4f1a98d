"""``submit`` and ``render``: options, files, what overrides what, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gpujobs import After, Gpu, GpuJob, GpuService, Secret, UnavailableError, Volume
from gpujobs.formats import dumps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpujobs.backend import Submission
    from gpujobs.formats import Format
    from tests.unit.cli.conftest import Cli


def _sent(cli: Cli, *words: str, stdin: bytes = b"") -> GpuJob | GpuService:
    ran = cli("submit", *words, stdin=stdin)
    assert (ran.code, ran.err) == (0, "")
    return cli.backend.specs[-1]


def test_prints_the_ref_alone(cli: Cli) -> None:
    """Stdout is the ref and a line break, stderr is empty."""
    ran = cli("submit", "--", "work")

    assert (ran.code, ran.out, ran.err) == (0, "memory://memory/1\n", "")


def test_json_has_the_parts_of_the_ref(cli: Cli) -> None:
    """``--json``: ref, kind, target, backend and key."""
    ran = cli("submit", "--json", "--idempotency-key", "k", "--", "work")

    assert json.loads(ran.out) == {
        "ref": "memory://memory/1",
        "kind": "job",
        "target": "memory",
        "backend": "memory",
        "key": "k",
    }


def test_every_option_reaches_its_field(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each workload option sets the field that the documentation names."""
    (tmp_path / "src").write_bytes(b"\0\xff")
    (tmp_path / "e").write_text("secret")
    for name in ("HERE", "TOKEN", "C"):
        monkeypatch.setenv(name, f"from {name}")
    line = (
        "--name n --gpus h100:2 --sharing time-slice --gpu-memory 40GiB --cpus 1.5 --memory 16GiB --shm 1GiB "
        "--disk 5GB --nodes 2 --tasks-per-node 4 "
        "--time 1h30m --deadline 1-00:00:00 --start-timeout 5m --grace 10s --retries 3 "
        "--requeue --image-optional --env A=1=2 --env HERE --inherit-env venv,X --secret TOKEN --secret B=env:C "
        "--secret D=file:e --file in/a=src --volume /data:/data:ro --volume empty:/tmp/x --workdir /w --queue q "
        "--account a --qos high --priority 5 --constraint c --exclude n1 --exclude n2 --node-selector k=v --label l=1"
    )

    spec = _sent(cli, *line.split(), "--setup", "module load cuda", "--", "work")

    assert spec == GpuJob(
        command=["work"],
        name="n",
        gpus=Gpu(2, type="h100", sharing="time-slice", memory="40GiB"),
        cpus=1.5,
        memory="16GiB",
        shm="1GiB",
        disk="5GB",
        nodes=2,
        tasks_per_node=4,
        time_limit="1h30m",
        deadline="24h",
        start_timeout="5m",
        grace="10s",
        retries=3,
        requeue=True,
        image_optional=True,
        env={"A": "1=2", "HERE": "from HERE"},
        inherit_env=["venv", "X"],
        secrets=[Secret("TOKEN"), Secret("B", env="C"), Secret("D", file="e")],
        files={"in/a": b"\0\xff"},
        volumes=[Volume("/data", host="/data", read_only=True), Volume("/tmp/x", empty=True)],
        workdir="/w",
        setup=["module load cuda"],
        queue="q",
        account="a",
        qos="high",
        priority=5,
        constraint="c",
        exclude=["n1", "n2"],
        node_selector={"k": "v"},
        labels={"l": "1"},
    )


def test_options_that_this_backend_refuses_reach_it(cli: Cli) -> None:
    """array, parallelism, image and after are passed on: it is the backend that names what it does not honour."""
    words = ["--array", "4", "--parallelism", "2", "--image", "i", "--after", "any:memory://memory/1"]

    ran = cli("submit", *words, "--", "work")

    assert (ran.code, ran.error_lines[0][:12]) == (1, "Error: array")
    spec = cli.backend.specs[0]
    assert isinstance(spec, GpuJob)
    assert (spec.array, spec.parallelism, spec.image) == (4, 2, "i")
    assert spec.after == (After("memory://memory/1", when="any"),)


def test_service_options_reach_their_fields(cli: Cli) -> None:
    """Options of a service make one."""
    words = "--name api --replicas 3 --port 80 --port 81 --expose headless --readiness /ok --liveness /up"

    spec = _sent(cli, *words.split(), "--", "serve")

    assert spec == GpuService(
        command=["serve"], name="api", replicas=3, ports=[80, 81], expose="headless", readiness="/ok", liveness="/up"
    )


def test_preflight_may_be_left_out(cli: Cli) -> None:
    """What could never run is refused at once, unless ``--no-preflight`` says to try."""
    assert cli("submit", "--gpus", "99", "--", "work").code == 1
    assert cli("submit", "--gpus", "99", "--no-preflight", "--", "work").code == 0


def test_partition_is_queue_and_gpus_0_is_none(cli: Cli) -> None:
    """``--partition`` is another spelling of ``--queue``; ``--gpus 0`` asks for none."""
    spec = _sent(cli, "--partition", "gpu", "--gpus", "0", "--", "work")

    assert (spec.queue, spec.gpus) == ("gpu", None)


def test_script_from_a_file_and_from_stdin(cli: Cli, tmp_path: Path) -> None:
    """``--script`` takes a file, or stdin as -."""
    (tmp_path / "s.sh").write_text("echo a\n")

    assert _sent(cli, "--script", "s.sh").script == "echo a\n"
    assert _sent(cli, "--script", "-", stdin=b"echo b\n").script == "echo b\n"


@pytest.mark.parametrize("fmt", ["yaml", "json", "toml"])
def test_a_file_is_read_by_its_ending(cli: Cli, tmp_path: Path, fmt: Format) -> None:
    """YAML, JSON and TOML files are workloads."""
    job = GpuJob(command=["work"], gpus="h100:2", time_limit="2h", env={"A": "1"})
    (tmp_path / f"job.{fmt}").write_text(dumps(job, fmt))

    assert _sent(cli, f"job.{fmt}") == job


@pytest.mark.parametrize("fmt", ["yaml", "json", "toml"])
def test_stdin_is_read_by_its_content(cli: Cli, fmt: Format) -> None:
    """- reads any of the formats from stdin."""
    job = GpuJob(command=["work"], gpus=1, labels={"apiVersion": "no"})

    assert _sent(cli, "-", stdin=dumps(job, fmt).encode()) == job


def test_a_plain_script_is_a_script(cli: Cli, tmp_path: Path) -> None:
    """A file that starts with #! and has no #SBATCH line is run as it is."""
    (tmp_path / "train.sh").write_text("#!/bin/bash\necho hi\n")

    assert _sent(cli, "train.sh") == GpuJob(script="#!/bin/bash\necho hi\n")


def test_a_program_is_no_workload(cli: Cli, tmp_path: Path) -> None:
    """A Python file is answered with the command line that runs it; a shell script runs."""
    (tmp_path / "train.py").write_text("import torch\n")
    (tmp_path / "train.sh").write_text("echo hi\n")

    ran = cli("submit", "train.py")

    assert (ran.code, ran.error_lines[1]) == (2, "Next: Write it as a command: -- python train.py")
    assert _sent(cli, "train.sh") == GpuJob(script="echo hi\n")


def test_options_override_the_file(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain fields are replaced, tables merged, lists extended, and the command stands for what the file runs."""
    monkeypatch.setenv("S", "one")
    monkeypatch.setenv("T", "two")
    job = GpuJob(
        script="echo", name="old", env={"A": "1", "B": "2"}, setup=["one"], secrets=[Secret("S")], gpus=2, retries=1
    )
    (tmp_path / "job.yaml").write_text(dumps(job))
    words = "job.yaml --name new --env B=3 --setup two --secret T --sharing time-slice -- work 3"

    spec = _sent(cli, *words.split())

    assert spec == GpuJob(
        command=["work", "3"],
        name="new",
        env={"A": "1", "B": "3"},
        setup=["one", "two"],
        secrets=[Secret("S"), Secret("T")],
        gpus=Gpu(2, sharing="time-slice"),
        retries=1,
    )


def test_time_of_a_file_may_be_replaced(cli: Cli, tmp_path: Path) -> None:
    """``--time`` wins over the file's ``time_limit``."""
    (tmp_path / "j.toml").write_text("command = ['work']\ntime_limit = '1h'\n")

    assert _sent(cli, "j.toml", "--time", "2h").time_limit == timedelta(hours=2)


def test_render_is_what_dry_run_prints(cli: Cli) -> None:
    """``render`` and ``submit --dry-run`` print the same bytes, with secrets by name, and send nothing."""
    words = ("--idempotency-key", "k", "--secret", "T", "--", "work")

    rendered, dry = cli("render", *words), cli("submit", "--dry-run", *words)

    assert rendered.code == 0
    assert rendered.out == dry.out
    assert "<secret T>" in rendered.out
    assert cli.backend.specs == []


def test_render_json(cli: Cli) -> None:
    """``--json``: the kind and the text."""
    found = json.loads(cli("render", "--json", "--idempotency-key", "k", "--", "work").out)

    assert set(found) == {"kind", "rendered"}
    assert (found["kind"], '"work"' in found["rendered"]) == ("job", True)


def test_resume_settles_what_is_open(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a lost line the error names the key; ``--resume`` sends it once and prints the ref."""

    def cut_line(items: Sequence[Submission]) -> list[UnavailableError]:
        return [UnavailableError("The line was cut.") for _ in items]

    with monkeypatch.context() as cut:
        cut.setattr(cli.backend, "submit", cut_line)
        refused = cli("submit", "--idempotency-key", "mine", "--", "work")
    assert (refused.code, refused.out, len(refused.error_lines)) == (1, "", 2)
    assert "gpujobs submit --resume mine" in refused.error_lines[1]

    assert cli("submit", "--resume", "mine").out == "memory://memory/1\n"
    again = cli("submit", "--resume")
    assert (again.code, again.out, again.err) == (0, "", "gpujobs: no submission is open\n")
    assert cli("submit", "--resume", "mine").code == 1
    assert json.loads(cli("submit", "--resume", "--json").out) == []


def test_what_is_open_can_be_abandoned(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--abandon KEY`` forgets it without sending anything; what is not open is an error."""

    def cut_line(items: Sequence[Submission]) -> list[UnavailableError]:
        return [UnavailableError("The line was cut.") for _ in items]

    with monkeypatch.context() as cut:
        cut.setattr(cli.backend, "submit", cut_line)
        cli("submit", "--idempotency-key", "mine", "--", "work")

    gone = cli("submit", "--abandon", "mine")
    assert (gone.code, gone.out, gone.err) == (0, "", "gpujobs: entries forgotten: 1\n")
    assert cli("submit", "--abandon", "mine").code == 1
    assert cli.backend.specs == []
