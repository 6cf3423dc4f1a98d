"""The sbatch script: what each field becomes, and that no text means anything to sbatch or a shell."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpujobs import Gpu, GpuJob, GpuService, Secret, UnsupportedError, Volume
from gpujobs_slurm._directives import read_directives
from gpujobs_slurm._names import comment, is_ours, job_name, read_comment
from gpujobs_slurm._refuse import refuse
from gpujobs_slurm._script import quote, render_script
from gpujobs_slurm.remote.bulks import name_of, ranges

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs_slurm._script import Order


def directives(order: Order) -> dict[str, str]:
    """The options of a rendered script, as sbatch reads them."""
    return dict(read_directives(render_script(order), "script"))


def test_directives_stand_in_a_fixed_order(order: Callable[..., Order]) -> None:
    """Who, where, how much, how long, how: the whole head of a script."""
    spec = GpuJob(
        command=["python", "train.py"],
        name="Train It!",
        gpus="h100:2",
        cpus=8,
        memory="64GiB",
        nodes=2,
        tasks_per_node=4,
        queue="gpu",
        account="ml",
        qos="high",
        priority=-5,
        constraint="nvlink",
        exclude=["n3", "n4"],
        time_limit="2h",
        disk="10GiB",
        retries=1,
        extra={"slurm": ["--exclusive"]},
    )

    head = render_script(order(spec, dependency="afterok:7")).partition("\n\n")[0]
    assert head.splitlines() == [
        "#!/bin/bash",
        "#SBATCH --job-name=train-it.0123456789ab",
        '#SBATCH --comment="{\\"gpujobs\\":1,\\"gres\\":\\"gpu:h100:2\\",\\"name\\":\\"Train It!\\",\\"labels\\":{}}"',
        "#SBATCH --partition=gpu",
        "#SBATCH --account=ml",
        "#SBATCH --qos=high",
        "#SBATCH --nice=5",
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=4",
        "#SBATCH --cpus-per-task=2",
        "#SBATCH --mem=65536M",
        "#SBATCH --tmp=10240M",
        "#SBATCH --gres=gpu:h100:2",
        "#SBATCH --constraint=nvlink",
        "#SBATCH --exclude=n3,n4",
        "#SBATCH --time=120",
        "#SBATCH --dependency=afterok:7",
        "#SBATCH --kill-on-invalid-dep=yes",
        "#SBATCH --requeue",
        "#SBATCH --chdir=/work",
        "#SBATCH --output=/home/alice/.gpujobs/jobs/c1/0123456789abcdef0123456789abcdef/slurm.out",
        "#SBATCH --open-mode=append",
        "#SBATCH --exclusive",
    ]


@pytest.mark.parametrize(
    ("fields", "option", "value"),
    [
        ({"memory": 1}, "mem", "1M"),
        ({"time_limit": 1}, "time", "1"),
        ({"time_limit": timedelta(seconds=61)}, "time", "2"),
        ({"deadline": 90}, "deadline", "now+90"),
        ({"deadline": 90}, "time-min", "1"),
        ({"deadline": 90}, "time", "2"),
        ({"array": 4}, "array", "0-3"),
        ({"array": 4, "parallelism": 2}, "array", "0-3%2"),
        ({"requeue": False}, "no-requeue", ""),
        ({"workdir": "/a b"}, "chdir", "/a b"),
        ({"output": "logs/%j.out", "error": "logs/%j.err"}, "error", "logs/%j.err"),
        ({"priority": "urgent"}, "qos", "urgent"),
        ({"gpus": Gpu(8, sharing="shard")}, "gres", "shard:8"),
        ({"gpus": Gpu(50, sharing="mps")}, "gres", "mps:50"),
        ({"gpus": "1g.10gb:2"}, "gres", "gpu:1g.10gb:2"),
    ],
)
def test_a_field_becomes_an_option(
    order: Callable[..., Order], fields: dict[str, Any], option: str, value: str
) -> None:
    """One field, one directive."""
    assert directives(order(GpuJob(command=["true"], **fields)))[option] == value


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("service_account", GpuJob(command=["true"], service_account="robot")),
        ("start_timeout", GpuJob(command=["true"], start_timeout=5)),
        ("node_selector", GpuJob(command=["true"], node_selector={"a": "b"})),
        ("volumes", GpuJob(command=["true"], volumes=[Volume("/data", claim="pvc")])),
        ("volumes", GpuJob(command=["true"], volumes=["/here:/there"])),
        ("files", GpuJob(command=["true"], files={"/etc/x": "1"})),
        ("files", GpuJob(command=["true"], files={"big": "x" * 3_200_000})),
        ("cpus", GpuJob(command=["true"], cpus=3, tasks_per_node=2)),
        ("cpus", GpuJob(command=["true"], cpus=0.5)),
        ("priority", GpuJob(command=["true"], priority=5)),
        ("retries", GpuJob(command=["true"], retries=1, requeue=False)),
        ("queue", GpuJob(command=["true"], queue="a\n#SBATCH --uid=0")),
        ("extra", GpuJob(command=["true"], extra={"slurm": ["--output=x"]})),
        ("extra", GpuJob(command=["true"], extra={"slurm": ["exclusive"]})),
        ("extra", GpuJob(command=["true"], extra={"slurm": ["--a\n--b"]})),
        ("GpuService", GpuService(command=["true"], name="s")),
    ],
)
def test_what_slurm_cannot_do_is_refused_by_name(field: str, spec: GpuJob | GpuService) -> None:
    """Nothing is dropped in silence, and no text makes a directive of its own."""
    with pytest.raises(UnsupportedError, match=field):
        refuse(spec)


def test_sharing_that_slurm_has_not_is_refused(order: Callable[..., Order]) -> None:
    """Time-slices and memory floors are no GRES."""
    for gpus in (Gpu(1, sharing="time-slice"), Gpu(1, memory="40GiB")):
        with pytest.raises(UnsupportedError, match="gpus"):
            render_script(order(GpuJob(command=["true"], gpus=gpus)))


def test_a_percent_sign_in_the_path_is_no_pattern(order: Callable[..., Order]) -> None:
    """Slurm would expand it."""
    text = render_script(order(GpuJob(command=["true"]), root="/data/100%j"))
    assert "--output=/data/100%%j/" in text
    assert "gj_dir=/data/100%j/" in text


def test_secrets_are_named_and_not_written(order: Callable[..., Order]) -> None:
    """The script says where they come from."""
    text = render_script(order(GpuJob(command=["true"], secrets=[Secret("TOKEN", "s3cr3t")])))

    assert "<secret TOKEN>" in text
    assert "s3cr3t" not in text


@given(st.text(st.characters(blacklist_characters="\0\n\r", blacklist_categories=["Cs"])))
def test_a_quoted_value_is_read_back_as_it_was(value: str) -> None:
    """Whatever a directive's value holds, it stays one word of that text."""
    if any(c.isspace() and c not in " \t" for c in value) or value.splitlines() not in ([], [value]):
        return
    assert read_directives(f"#!/bin/sh\n#SBATCH --comment={quote(value)}\n", "x") == [("comment", value)]


@given(st.lists(st.integers(0, 40), unique=True).map(sorted))
def test_ranges_name_every_index_once(indices: list[int]) -> None:
    """``0-3,5`` is 0, 1, 2, 3, 5."""
    found: list[int] = []
    for part in filter(None, ranges(tuple(indices)).split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    assert found == indices


@given(st.text(max_size=50), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=5))
def test_a_comment_is_one_ascii_line_and_reads_back(name: str, labels: dict[str, str]) -> None:
    """Name and labels survive in the queue itself."""
    text = comment(name, labels, "gpu:1")
    assert text.isascii()
    assert "\n" not in text
    found = read_comment(text)
    assert found is not None
    assert (found["name"], found["labels"], found["gres"]) == (name, labels, "gpu:1")


def test_a_comment_that_would_be_long_keeps_only_the_gpus() -> None:
    """The record has the rest."""
    assert read_comment(comment("n", {"l": "x" * 2000}, "gpu:1")) == {"gpujobs": 1, "gres": "gpu:1"}
    assert read_comment("somebody else's") is None


@given(st.text(min_size=1, max_size=300).filter(lambda t: "\0" not in t and t.isprintable()))
def test_job_names_are_plain_whatever_the_user_calls_it(name: str) -> None:
    """Letters, digits and dashes, and a token that follows from the key."""
    made = job_name(GpuJob(command=["true"], name=name), name_of("key"))
    assert is_ours(made)
    assert made.endswith(name_of("key")[:12])


def test_images_run_through_what_the_cluster_has(order: Callable[..., Order], facts: Any) -> None:
    """Pyxis is an option of srun, apptainer a program in front; without either it is refused by name."""
    from dataclasses import replace  # noqa: PLC0415

    spec = GpuJob(command=["nvidia-smi"], image="nvcr.io/nvidia/cuda:12", gpus=1, volumes=["/data:/in:ro"])
    pyxis = render_script(order(spec, facts=replace(facts, container="pyxis")))
    apptainer = render_script(order(spec, facts=replace(facts, container="apptainer")))

    assert "--container-image=nvcr.io#nvidia/cuda:12" in pyxis
    assert ",/data:/in:ro" in pyxis
    line = next(x for x in apptainer.splitlines() if "apptainer" in x)
    assert shlex.split(line)[2:5] == ["apptainer", "exec", "--nv"]
    assert "docker://nvcr.io/nvidia/cuda:12" in line
    with pytest.raises(UnsupportedError, match="image"):
        render_script(order(spec))
    assert "apptainer" not in render_script(order(spec.replace(image_optional=True)))
