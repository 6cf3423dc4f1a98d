"""What is refused by name, how a script finds its reader, and what a patch changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gpujobs import Gpu, GpuJob
from gpujobs.errors import SpecError, UnsupportedError
from gpujobs_kubernetes._facts import Site
from gpujobs_kubernetes._manifests import objects

if TYPE_CHECKING:
    from gpujobs.backend import Submission
    from gpujobs_kubernetes._manifests import Objects
    from tests.unit.kubernetes.conftest import Submit


def made(item: Submission) -> Objects:
    """The objects of a submission."""
    return objects(item, Site("prod", "ml"), inherited={}, secrets={})


def command(item: Submission) -> list[str]:
    """What its container runs."""
    found: list[str] = made(item).main["spec"]["template"]["spec"]["containers"][0]["command"]
    return found


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"account": "x"}, UnsupportedError, "account"),
        ({"qos": "x"}, UnsupportedError, "qos"),
        ({"constraint": "x"}, UnsupportedError, "constraint"),
        ({"output": "x"}, UnsupportedError, "output"),
        ({"error": "x"}, UnsupportedError, "error"),
        ({"image": None}, UnsupportedError, "image"),
        ({"inherit_env": ["venv"]}, UnsupportedError, "inherit_env"),
        ({"priority": 5}, UnsupportedError, "priority"),
        ({"gpus": Gpu(1, sharing="mps")}, UnsupportedError, "gpus"),
        ({"gpus": 1, "env": {"NVIDIA_VISIBLE_DEVICES": "all"}}, UnsupportedError, "env"),
        ({"array": 2, "nodes": 2}, UnsupportedError, "array"),
        ({"command": [], "setup": ["x"]}, UnsupportedError, "setup"),
        ({"after": ["slurm://lab/1"]}, UnsupportedError, "after"),
        ({"image": "docker://x"}, SpecError, "image"),
        ({"node_selector": {"a b": "c"}}, SpecError, "node_selector"),
        ({"service_account": "A B"}, SpecError, "service_account"),
        ({"volumes": ["pvc=A_B:/x"]}, SpecError, "volumes"),
        ({"volumes": ["/a:/x", "/b:/x"]}, SpecError, "volumes"),
        ({"queue": "a/b"}, SpecError, "queue"),
        ({"security_context": {"runAsRoot": 1}}, SpecError, "security_context"),
        ({"extra": {"kubernetes": {"metadata": {"name": "x"}}}}, SpecError, "extra"),
        ({"extra": {"kubernetes": "x"}}, SpecError, "extra"),
    ],
)
def test_what_kubernetes_cannot_do_is_refused_by_name(
    submit: Submit, fields: dict[str, Any], error: type[Exception], field: str
) -> None:
    """Before anything is sent."""
    with pytest.raises(error, match=field):
        made(submit(**fields))


def test_a_script_finds_its_reader(submit: Submit) -> None:
    """Shells read it as a word; other programs as a file that is executable."""
    assert command(submit(GpuJob(script="echo $1", args=["a"], image="i"))) == [
        "/bin/sh",
        "-c",
        "echo $$1",
        "script",
    ]
    bash = command(submit(GpuJob(script="#!/bin/bash -e\nx", image="i")))
    assert bash[:3] == ["/bin/bash", "-e", "-c"]
    item = submit(GpuJob(script="#!/usr/bin/env python3\n1", image="i"))
    assert command(item) == ["/gpujobs/script"]
    assert made(item).children[0]["data"] == {"script": "#!/usr/bin/env python3\n1"}


def test_extra_is_merged_as_kubectl_merges(submit: Submit) -> None:
    """Lists of named things by their names, null removes."""
    patch = {
        "spec": {
            "podFailurePolicy": None,
            "template": {
                "spec": {
                    "containers": [
                        {"name": "main", "env": [{"name": "E", "value": "2"}]},
                        {"name": "side", "image": "s"},
                    ]
                }
            },
        }
    }
    main = made(
        submit(GpuJob(command=["x"], image="i", env={"E": "1"}, extra={"kubernetes": patch, "slurm": ["-x"]}))
    ).main

    containers = main["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["main", "side"]
    assert [e["value"] for e in containers[0]["env"] if e["name"] == "E"] == ["2"]
    assert "podFailurePolicy" not in main["spec"]
