"""The plan of a local job, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpujobs import Gpu, GpuJob, GpuService, Secret, UnsupportedError, Volume
from gpujobs.backend import Submission, Target
from gpujobs.parts import Toleration
from gpujobs_local import _plan
from gpujobs_local.options import LocalOptions

TARGET = Target("local", "local", LocalOptions(), gpu_types={"h100": "NVIDIA-H100-80GB-HBM3"})


def planned(**fields: Any) -> dict[str, Any]:
    """The plan of ``true`` with these fields."""
    fields.setdefault("command", ["true"])
    return _plan.plan(Submission(GpuJob(**fields), "k", "h"), TARGET)


def test_the_whole_plan_word_for_word() -> None:
    """What ``render`` shows: all that was set, nothing else, no value of a secret and no content of a file."""
    spec = GpuJob(
        name="n'ame\n\u00e9",
        command=["python", "a b", "$x"],
        args=["-1"],
        setup=["module load x"],
        env={"A": "1"},
        inherit_env=["venv"],
        secrets=[Secret("TOKEN", "hidden")],
        files={"in/put": "abc"},
        gpus=Gpu(2, type="h100", memory="70GiB", sharing="time-slice"),
        time_limit="1h30m",
        array=3,
        parallelism=2,
        retries=1,
        after=["any:local://local/7"],
        labels={"team": "ml"},
    )
    text = _plan.text(_plan.plan(Submission(spec, "key-1", "hash"), TARGET))

    assert "hidden" not in text
    assert json.loads(text) == {
        "name": "n'ame\n\u00e9",
        "key": "key-1",
        "command": ["python", "a b", "$x", "-1"],
        "setup": ["module load x"],
        "env": {"A": "1"},
        "inherit_env": ["venv"],
        "secrets": {"TOKEN": "<secret TOKEN>"},
        "files": {"in/put": {"bytes": 3, "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}},
        "labels": {"team": "ml"},
        "gpus": {
            "count": 2,
            "types": ["NVIDIA-H100-80GB-HBM3"],
            "memory": 70 * 2**30,
            "sharing": "time-slice",
        },
        "tasks_per_node": 1,
        "array": 3,
        "parallelism": 2,
        "after": [{"id": "7", "when": "any"}],
        "time_limit": 5400.0,
        "grace": 30.0,
        "retries": 1,
    }
    assert text.startswith('{\n  "name": "n\'ame\\n\u00e9",\n  "key": "key-1",\n')


def test_a_small_plan_is_small() -> None:
    """Defaults that mean nothing are left out."""
    assert planned() == {"key": "k", "command": ["true"], "tasks_per_node": 1, "grace": 30.0, "retries": 0}


def test_a_script_keeps_its_args_apart() -> None:
    """They are words for the script, not a part of its text."""
    plan = planned(command=(), script="echo hi\n", args=["x"])

    assert (plan["script"], plan["args"]) == ("echo hi\n", ["x"])
    assert "command" not in plan


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("queue", "gpu"),
        ("account", "ml"),
        ("qos", "high"),
        ("constraint", "ib"),
        ("exclude", ["node1"]),
        ("node_selector", {"a": "b"}),
        ("tolerations", [Toleration(key="x")]),
        ("service_account", "sa"),
        ("security_context", {"runAsUser": 1}),
        ("runtime_class", "nvidia"),
        ("image_pull_policy", "Always"),
        ("image_pull_secrets", ["s"]),
        ("image", "busybox"),
        ("nodes", 2),
        ("priority", "high"),
        ("volumes", [Volume("/data", host="/srv/data")]),
        ("volumes", [Volume("/data", host="/data", read_only=True)]),
        ("files", {"/etc/x": "y"}),
        ("after", ["slurm://lab/7"]),
        ("after", ["local://other/7"]),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(field: str, value: Any) -> None:
    """Each field, with what to do; nothing is dropped silently."""
    with pytest.raises(UnsupportedError, match=rf"^{field}: ") as caught:
        planned(**{field: value})
    assert caught.value.next_step.startswith(f"Leave {field} out")


def test_sharing_by_mps_is_refused() -> None:
    """It needs a daemon."""
    with pytest.raises(UnsupportedError, match=r"^gpus\.sharing: 'mps'"):
        planned(gpus=Gpu(1, sharing="mps"))


def test_extras_are_refused() -> None:
    """Those of other backends are not ours to judge."""
    with pytest.raises(UnsupportedError, match=r"^extra\.local"):
        planned(extra={"local": {"x": 1}})
    assert planned(extra={"slurm": ["--exclusive"]})


def test_a_service_is_refused() -> None:
    """Naming the kind."""
    item = Submission(GpuService(name="s", command=["x"]), "s", "h")
    with pytest.raises(UnsupportedError, match="services"):
        _plan.plan(item, TARGET)


def test_the_images_own_command_is_refused() -> None:
    """There is no image here."""
    with pytest.raises(UnsupportedError, match=r"^command: "):
        planned(command=(), image="busybox", image_optional=True)


def test_what_means_nothing_here_is_let_through() -> None:
    """An optional image, a path that is the machine's own."""
    assert planned(image="busybox", image_optional=True)["command"] == ["true"]
    assert planned(volumes=[Volume("/data", host="/data/")])["command"] == ["true"]


def test_options_round_trip_as_settings() -> None:
    """What the target's table says is what a supervisor reads back."""
    from gpujobs_local._settings import Settings  # noqa: PLC0415  # only here

    table = {
        "gpus": 3,
        "gpu_type": "h100",
        "gpu_memory": "80GiB",
        "shares": 2,
        "busy_gpus": "share",
        "lock_dir": "/x/y",
    }
    options = LocalOptions.model_validate(table)
    settings = Settings.load(options.settings().dump())

    assert settings == options.settings()
    assert (settings.simulated, settings.gpu_memory, settings.wait_for_busy, settings.lock_dir) == (
        3,
        80 * 2**30,
        False,
        "/x/y",
    )
    assert Settings.load("{}") == LocalOptions().settings()
