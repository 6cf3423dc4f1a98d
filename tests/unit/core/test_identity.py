"""Who a submission is: what counts for its hash, and what a target's defaults add."""

from __future__ import annotations

from typing import Any

import pytest

from gpujobs import ConfigError, GpuJob, GpuService, Secret
from gpujobs._identity import make_key, spec_hash, with_defaults

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
