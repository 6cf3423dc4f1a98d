"""Who a submission is: what counts for its hash, and what a target's defaults add."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from gpujobs import ConfigError, GpuJob, GpuService, Secret, SpecError
from gpujobs._identity import check_key, make_key, make_keys, spec_hash, submission, submissions, with_defaults

JOB = GpuJob(command=["train"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (JOB, GpuJob(command="train", retries=0, env={})),
        (JOB.replace(gpus=1), JOB.replace(gpus="1")),
        (JOB.replace(env={"A": "1", "B": "2"}), JOB.replace(env={"B": "2", "A": "1"})),
        (JOB.replace(memory="1GiB"), JOB.replace(memory=2**30)),
        (JOB.replace(secrets=[Secret("T", "a")]), JOB.replace(secrets=[Secret("T", "b")])),
        (JOB.replace(secrets=["T", "U"]), JOB.replace(secrets=["U", "T"])),
        (JOB.replace(files={"f": "x"}), JOB.replace(files={"f": b"x"})),
    ],
)
def test_the_same_meaning_has_the_same_hash(one: GpuJob, other: GpuJob) -> None:
    """Spelling, order, defaults written out, and values of secrets do not count."""
    assert spec_hash(one) == spec_hash(other)


@pytest.mark.parametrize(
    "changes",
    [{"command": ["train", ""]}, {"name": "n"}, {"files": {"f": "x"}}, {"secrets": ["T"]}, {"nodes": 2}, {"gpus": 1}],
)
def test_another_meaning_has_another_hash(changes: dict[str, Any]) -> None:
    """Every field counts."""
    assert spec_hash(JOB.replace(**changes)) != spec_hash(JOB)


def test_a_job_is_no_service_and_contents_of_files_count() -> None:
    """By digest."""
    assert spec_hash(GpuJob(command=["x"], name="s")) != spec_hash(GpuService(command=["x"], name="s"))
    assert spec_hash(JOB.replace(files={"f": "x"})) != spec_hash(JOB.replace(files={"f": "y"}))


@pytest.mark.parametrize("key", ["", "a\nb", "a\0", "a\udcff", "k" * 257])
def test_a_key_that_cannot_be_kept_is_refused(key: str) -> None:
    """Empty, on two lines, too long, or with what no file can hold."""
    with pytest.raises(SpecError, match="idempotency key"):
        check_key(key)


@pytest.mark.parametrize(
    "spec",
    [
        JOB,
        GpuJob(command="train", args=["é", "\u2028"], env={"B": "2", "A": "\x1f"}, cpus=2, retries=0, priority=-3),
        JOB.replace(extra={"slurm": ["--hold"], "n": {"b": 1, "a": None}}, labels={}, kind="job", image_optional=True),
        JOB.replace(extra={"when": timedelta(seconds=1)}),
        JOB.replace(extra={"o": {1: "a", "b": 2}}),
        JOB.replace(gpus="h100:2", memory="1GiB", time_limit="2h", after=["slurm://lab/1"]),
        JOB.replace(files={"f": b"\xff"}, secrets=[Secret("T", "a")]),
        GpuService(command=["x"], name="s", replicas=2),
    ],
)
def test_the_hash_and_the_journal_hold_what_the_model_says(spec: GpuJob | GpuService) -> None:
    """However it is made: the canonical JSON of what differs from the defaults."""
    data = spec.model_dump(mode="json", exclude_defaults=True)
    item = submission(spec, "k")
    assert json.loads(item.text) == data | {"kind": spec.kind}
    if not spec.files and not spec.secrets:
        text = json.dumps(data | {"kind": spec.kind}, sort_keys=True, separators=(",", ":"))
        assert item.spec_hash == hashlib.sha256(text.encode()).hexdigest()


def test_many_at_once_are_what_each_is_alone() -> None:
    """Also where one of them is no plain JSON."""
    specs = [JOB, JOB.replace(gpus=1), JOB.replace(extra={"when": timedelta(seconds=1)}), JOB.replace(env={"A": '","'})]
    for several in (specs, specs[:2], specs[1:2], [JOB] * 3):
        items = submissions([(spec, f"k{i}", False) for i, spec in enumerate(several)])
        assert items == [submission(spec, f"k{i}") for i, spec in enumerate(several)]


def test_keys_made_together_share_their_stem() -> None:
    """A backend may claim them all at once by it; one that is made alone has none."""
    keys = make_keys(3)
    assert {key.partition(".")[0] for key in keys} == {keys[0][:20]}
    assert [key[20:] for key in keys] == [".0", ".1", ".2"]
    assert len(make_keys(1)[0]) == 20


def test_made_keys_are_short_and_differ() -> None:
    """Twenty hexadecimal digits."""
    keys = {make_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert {len(key) for key in keys} == {20}


@pytest.mark.parametrize(
    ("spec", "defaults", "field", "value"),
    [
        (JOB, {"queue": "gpu"}, "queue", "gpu"),
        (JOB.replace(queue="mine"), {"queue": "gpu"}, "queue", "mine"),
        (JOB.replace(retries=0), {"retries": 3}, "retries", 0),
        (JOB.replace(env={"A": "1"}), {"env": {"A": "0", "B": "2"}}, "env", {"A": "1", "B": "2"}),
        (JOB.replace(setup=["b"]), {"setup": ["a"]}, "setup", ("b",)),
        (JOB, {"replicas": 2, "command": ["other"]}, "command", ("train",)),
    ],
)
def test_defaults_fill_only_what_is_open(spec: GpuJob, defaults: dict[str, Any], field: str, value: object) -> None:
    """Tables are merged key by key; what belongs to the other kind of workload is left out."""
    assert getattr(with_defaults(spec, defaults, target="lab"), field) == value


def test_a_default_that_cannot_be_is_an_error_of_the_configuration() -> None:
    """It names the table and the key."""
    with pytest.raises(ConfigError, match=r"\[targets.lab.defaults\]: memory: '16G' is ambiguous"):
        with_defaults(JOB, {"memory": "16G"}, target="lab")
