"""The JSON Schema takes what the models take."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from gpujobs import SpecError, formats

SCHEMA = formats.json_schema()


@pytest.mark.parametrize(
    "data",
    [
        {"command": "nvidia-smi", "gpus": 1},
        {"command": ["train"], "gpus": "h100:2", "memory": "16GiB", "time_limit": "2h30m", "grace": "5s"},
        {"command": ["train"], "gpus": {"count": 2, "sharing": "shard"}, "after": ["slurm://lab/1"]},
        {"script": "echo", "secrets": ["TOKEN"], "volumes": ["pvc=m:/models:ro"], "files": {"a": {"base64": "AA=="}}},
        {"kind": "service", "name": "s", "command": ["serve"], "replicas": 2, "ports": [8000], "readiness": "/health"},
        {
            "command": "x",
            "gpus": 0,
            "secrets": "TOKEN",
            "volumes": "/a:/a",
            "env": {"A_1": ""},
            "after": "any:local://l/1",
        },
        {
            "command": "x",
            "gpus": " 1g.10gb+me.all:2 ",
            "memory": "1.5 GB",
            "deadline": "1-02:03:04",
            "start_timeout": "1d",
        },
        {"command": "x", "gpus": {"profile": "1g.10gb"}, "shm": 1024, "time_limit": 1.5, "grace": " 1.5s "},
        {"command": "x", "gpus": "10", "memory": "500kB", "disk": "7", "time_limit": "00:10:00"},
        {"kind": "service", "command": "x", "ports": "0080", "liveness": {"tcp": True, "period": "1m0.5s"}},
    ],
)
def test_what_the_models_take_is_valid(data: dict[str, Any]) -> None:
    """Short forms included, so that an editor does not mark them."""
    assert formats.from_data(data)
    jsonschema.validate(data, SCHEMA)


@pytest.mark.parametrize(
    "data",
    [
        *({"command": "x", "gpus": g} for g in (-1, "-1", "0", "h100:0", "h100:-2", "", "h 100", "a:b:1", 2**31, 1.5)),
        *({"command": "x", "gpus": {k: v}} for k, v in (("count", 0), ("type", "h 100"), ("profile", "big"))),
        *({"command": "x", "env": {name: "1"}} for name in ("1A", "A=B", "", "A B", "GPUJOBS_X")),
        *({"command": "x", "secrets": s} for s in ("A=B", ["GPUJOBS_KEY"], [{"name": "-"}])),
        *({"command": "x", "memory": m} for m in ("16G", "-1GiB", "GiB", 0, "1e3", 2**63)),
        *({"command": "x", "time_limit": d} for d in ("90", "", "1h2", "1:2", "-1s", "2m1h", 0, 11 * 366 * 86400)),
        *({"command": "x", "after": a} for a in ("1234", ["slurm:1"], "never:slurm://lab/1")),
        *({"command": "x", "volumes": v} for v in ("/data", ["pvc=m:models"])),
        *({"command": "x", "files": {"a": f}} for f in ({}, {"base64": "AA==", "x": 1}, 1)),
        *({"kind": "service", "command": "x", "ports": p} for p in (0, 65536, "0", "http", [-1])),
        {"kind": "service", "command": "x", "readiness": "health"},
        {"command": ["x"], "gpu": 1},
        {"command": ["x"], "nodes": 0},
        {"kind": "job", "replicas": 1},
        [],
    ],
)
def test_what_the_models_refuse_is_invalid(data: Any) -> None:
    """Unknown fields, numbers out of range, fields of the other kind, short forms and names that say nothing."""
    with pytest.raises(SpecError):
        formats.from_data(data)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


def test_defaults_are_written_as_a_file_may_write_them() -> None:
    """Each default in the schema is itself allowed there, and the schema is JSON."""
    schema = json.loads(json.dumps(formats.json_schema()))
    defaults = {k: v["default"] for k, v in schema["$defs"]["GpuJob"]["properties"].items() if "default" in v}
    assert defaults["grace"] == "30s"
    assert formats.from_data({**{k: v for k, v in defaults.items() if v is not None}, "command": ["x"]})
