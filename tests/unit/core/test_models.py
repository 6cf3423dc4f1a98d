"""The models: what they take, what they refuse and with which words, and that they survive every format."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gpujobs import After, Gpu, GpuJob, GpuService, Port, Probe, Ref, Secret, SpecError, Volume, _fields, formats

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True).filter(lambda n: not n.startswith("GPUJOBS_"))
GPUS = st.one_of(
    st.none(),
    st.builds(
        Gpu, st.integers(1, 16), type=st.sampled_from(["h100", "NVIDIA-A100"]), sharing=st.sampled_from(["shard", None])
    ),
    st.builds(Gpu, profile=st.sampled_from(["1g.10gb", "3g.40gb"])),
)
SPANS = st.one_of(st.none(), st.timedeltas(timedelta(microseconds=1), timedelta(days=3000)))
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "name": st.one_of(st.none(), TEXT.filter(bool)),
    "command": st.lists(TEXT, max_size=3).map(lambda words: ["run", *words]),
    "env": st.dictionaries(NAMES, TEXT, max_size=3),
    "files": st.dictionaries(st.sampled_from(["a", "b/c d"]), st.one_of(st.binary(max_size=20), TEXT), max_size=2),
    "labels": st.dictionaries(TEXT, TEXT, max_size=2),
    "gpus": GPUS,
    "cpus": st.one_of(st.none(), st.floats(0.1, 512)),
    "memory": st.one_of(st.none(), st.integers(1, 2**50)),
    "time_limit": SPANS,
    "setup": st.lists(TEXT, max_size=2),
    "volumes": st.lists(st.builds(Volume, st.just("/data"), host=TEXT.filter(bool)), max_size=1),
}
JOBS = st.builds(
    GpuJob,
    **COMMON,
    nodes=st.integers(1, 64),
    array=st.one_of(st.none(), st.integers(1, 9)),
    deadline=SPANS,
    retries=st.integers(0, 3),
    after=st.lists(st.builds(After, st.just("slurm://lab/1"), when=st.sampled_from(["ok", "any"])), max_size=1),
)
SERVICES = st.builds(
    GpuService,
    **COMMON,
    replicas=st.integers(0, 9),
    ports=st.lists(st.builds(Port, st.integers(1, 65535), name=st.sampled_from(["http", None])), max_size=1),
)


@settings(max_examples=60, deadline=None)
@given(st.one_of(JOBS, SERVICES), st.sampled_from(["json", "yaml", "toml"]))
def test_a_workload_survives_every_format(workload: GpuJob | GpuService, fmt: formats.Format) -> None:
    """What is written is read back equal."""
    assert formats.loads(formats.dumps(workload, fmt), fmt) == workload


@pytest.mark.parametrize(
    "text", ["\x85", "a\u2028b", "\u2029", "\ufeff", " ", "a\n\n b\n", "null", "1e3", "\t", "- a: b"]
)
def test_text_that_yaml_has_views_on_is_only_text(text: str) -> None:
    """Line breaks of Unicode, white space, and what looks like another type."""
    job = GpuJob(command=[text], name=text, env={"A": text}, labels={text: text}, files={"f": text})
    assert formats.loads(formats.dumps(job)) == job


@settings(max_examples=30, deadline=None)
@given(JOBS)
def test_a_dumped_model_validates_to_itself(job: GpuJob) -> None:
    """Also through pydantic's own JSON."""
    assert GpuJob.model_validate_json(job.model_dump_json()) == job


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({}, "", "command is empty"),
        ({"command": []}, "", "command is empty"),
        ({"command": [""]}, "", "empty word"),
        ({"command": "x", "script": "y"}, "", "keep one"),
        ({"command": "x", "gpus": -1}, "gpus.count", "greater than or equal to 1"),
        ({"command": "x", "gpus": "h100:x"}, "gpus", "'h100:x' does not name GPUs"),
        ({"command": "x", "gpus": True}, "gpus", ""),
        ({"command": "x\0y"}, "command.0", "NUL"),
        ({"command": "x", "name": "a\0"}, "name", "NUL"),
        ({"command": "x", "env": {"A=B": "c"}}, "env.A=B.[key]", "not a name for an environment variable"),
        ({"command": "x", "env": {"GPUJOBS_REF": "c"}}, "env.GPUJOBS_REF.[key]", "reserved"),
        ({"command": "x", "env": {"A": "b\0"}}, "env.A", "NUL"),
        ({"command": "x", "memory": "16G"}, "memory", "'16G' is ambiguous: write 16GiB"),
        ({"command": "x", "memory": -5}, "memory", "positive"),
        ({"command": "x", "memory": "1.5B"}, "memory", "whole"),
        ({"command": "x", "memory": "12 parsecs"}, "memory", "no known unit"),
        ({"command": "x", "time_limit": "90"}, "time_limit", "90s or 90m?"),
        ({"command": "x", "time_limit": 0}, "time_limit", "above zero"),
        ({"command": "x", "time_limit": float("nan")}, "time_limit", "above zero"),
        ({"command": "x", "cpus": float("inf")}, "cpus", "finite"),
        ({"command": "x", "nodes": 0}, "nodes", "greater than or equal to 1"),
        ({"command": "x", "parallelism": 2}, "", "set array=N"),
        ({"command": "x", "files": {"../x": "y"}}, "", "'../x'"),
        ({"command": "x", "inherit_env": ["A=B"]}, "", "'A=B'"),
        ({"command": "x", "env": {"A": "1"}, "secrets": ["A"]}, "", "keep one"),
        ({"command": "x", "after": "1234"}, "after.0", "not a ref"),
        ({"command": "x", "volumes": ["/a"]}, "volumes.0", "is not a volume"),
        ({"command": "x", "gpu": 1}, "gpu", "Extra inputs are not permitted"),
    ],
)
def test_bad_fields_are_refused_with_the_field_and_what_is_allowed(
    fields: dict[str, Any], field: str, words: str
) -> None:
    """The error names the field, and says what is wrong with the value."""
    with pytest.raises(ValidationError) as caught:
        GpuJob.model_validate(fields)

    first = caught.value.errors()[0]
    assert ".".join(str(p) for p in first["loc"]) == field
    assert words in first["msg"]


@pytest.mark.parametrize(
    ("given_gpus", "meant"),
    [
        (1, Gpu(1)),
        ("2", Gpu(2)),
        ("h100", Gpu(type="h100")),
        ("h100:2", Gpu(2, type="h100")),
        ("1g.10gb", Gpu(profile="1g.10gb")),
        ("1g.10gb:3", Gpu(3, profile="1g.10gb")),
        (Gpu(1, sharing="time-slice"), Gpu(1, sharing="time-slice")),
        (0, None),
        (None, None),
    ],
)
def test_gpus_take_numbers_texts_and_models(given_gpus: Gpu | int | str | None, meant: Gpu | None) -> None:
    """All spellings of the same wish are the same model."""
    assert GpuJob(command=["x"], gpus=given_gpus).gpus == meant


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2h30m", 9000), ("01:02:03", 3723), ("1-00:00:01", 86401), (1.5, 1.5), (timedelta(hours=1), 3600)],
)
def test_times_take_several_spellings(text: Any, seconds: float) -> None:
    """All mean the same timedelta."""
    assert GpuJob(command=["x"], time_limit=text).time_limit == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "size"), [("16GiB", 2**34), ("500MB", 500_000_000), (1024, 1024), ("1.5KiB", 1536), ("7B", 7)]
)
def test_memory_takes_bytes_and_unambiguous_units(text: int | str, size: int) -> None:
    """Powers of 1024 and of 1000 are told apart."""
    assert GpuJob(command=["x"], memory=text).memory == size


def test_small_models_take_their_first_field_by_position() -> None:
    """``Gpu``, ``Port``, ``Probe``, ``Volume``, ``Secret``, ``After``."""
    assert (Gpu(2).count, Port(80).port, Probe("/health").path) == (2, 80, "/health")
    assert (Volume("/m", host="/mnt").path, Secret("A").name, After("slurm://a/1").ref) == ("/m", "A", "slurm://a/1")


def test_lone_values_count_as_one() -> None:
    """A text is one word, a port one port, a ref one upstream."""
    job = GpuJob(command="true", after=Ref("slurm", "lab", "1"), secrets="TOKEN", volumes="pvc=m:/models:ro")

    assert job.command == ("true",)
    assert job.after == (After("slurm://lab/1"),)
    assert job.secrets == (Secret("TOKEN"),)
    assert job.volumes == (Volume("/models", claim="m", read_only=True),)
    assert GpuService(command="x", name="s", ports=8000).ports == (Port(8000),)


def test_models_are_frozen() -> None:
    """A workload never changes; ``replace`` makes a validated copy."""
    job = GpuJob(command=["x"])
    with pytest.raises(ValidationError):
        job.command = ("y",)  # type: ignore[misc]  # that it cannot be set is the point
    assert job.replace(nodes=2).nodes == 2
    with pytest.raises(ValidationError):
        job.replace(nodes=0)


def test_a_file_is_read_when_the_model_is_built(tmp_path: Path) -> None:
    """A Path is content, not a promise."""
    (tmp_path / "in").write_bytes(b"\xff\0")
    assert GpuJob(command=["x"], files={"in": tmp_path / "in"}).files == {"in": b"\xff\0"}


def test_a_secret_shows_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not in repr, str or any dump; only ``reveal`` gives it."""
    secret = Secret("TOKEN", "s3cr3t")
    job = GpuJob(command=["x"], secrets=[secret])
    (tmp_path / "token").write_text("from a file\n")
    monkeypatch.setenv("OTHER", "from the environment")

    shown = f"{job!r}{job}{job.model_dump()}{job.model_dump_json()}{formats.dumps(job)}{secret!r}"
    assert "s3cr3t" not in shown
    assert job.replace(nodes=2).secrets[0].reveal() == "s3cr3t"
    assert Secret("A", env="OTHER").reveal() == "from the environment"
    assert Secret("A", file=tmp_path / "token").reveal() == "from a file"
    with pytest.raises(SpecError, match="MISSING is not set"):
        Secret("MISSING").reveal()
    with pytest.raises(SpecError, match="cannot be read"):
        Secret("A", file=tmp_path / "none").reveal()


def test_the_typed_fields_are_the_fields_of_the_models() -> None:
    """What type checkers allow is what pydantic takes, no more and no less."""
    for fields, model in ((_fields.JobFields, GpuJob), (_fields.ServiceFields, GpuService)):
        assert set(fields.__annotations__) == set(model.model_fields) - {"kind", "command"}


def test_a_text_of_fields_needs_no_kind() -> None:
    """A table with replicas is a service; an unknown field is named."""
    assert formats.loads("{name: s, command: [x], replicas: 2}").kind == "service"
    assert formats.loads("command = ['x']\ngpus = 'h100:2'", "toml").gpus == Gpu(2, type="h100")
    with pytest.raises(SpecError, match="unknown field 'gpu'"):
        formats.loads("{command: [x], gpu: 1}")
    with pytest.raises(SpecError, match="memory: '16G' is ambiguous"):
        formats.loads(json.dumps({"command": ["x"], "memory": "16G"}), "json")
    with pytest.raises(SpecError, match="not valid YAML"):
        formats.loads("a: [")
    with pytest.raises(SpecError, match="no table"):
        formats.loads("- a")


def test_files_are_read_by_their_ending(tmp_path: Path) -> None:
    """YAML, TOML and JSON; another ending, a missing file and no text are told apart."""
    (tmp_path / "job.toml").write_text("command = ['x']")
    assert formats.load(tmp_path / "job.toml") == GpuJob(command=["x"])
    for name, words in (("job.txt", "no known ending"), ("none.yaml", "cannot be read")):
        with pytest.raises(SpecError, match=words):
            formats.load(tmp_path / name)
    (tmp_path / "bad.yaml").write_bytes(b"\xff")
    with pytest.raises(SpecError, match="not UTF-8"):
        formats.load(tmp_path / "bad.yaml")
