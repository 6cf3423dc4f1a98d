"""The JSON Schema takes what the models take."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from gpujobs import formats

SCHEMA = formats.json_schema()


@pytest.mark.parametrize(
    "data",
    [
        {"command": "nvidia-smi", "gpus": 1},
        {"command": ["train"], "gpus": "h100:2", "memory": "16GiB", "time_limit": "2h30m", "grace": "5s"},
        {"command": ["train"], "gpus": {"count": 2, "sharing": "shard"}, "after": ["slurm://lab/1"]},
        {"script": "echo", "secrets": ["TOKEN"], "volumes": ["pvc=m:/models:ro"], "files": {"a": {"base64": "AA=="}}},
        {"kind": "service", "name": "s", "command": ["serve"], "replicas": 2, "ports": [8000], "readiness": "/health"},
    ],
)
def test_what_the_models_take_is_valid(data: dict[str, Any]) -> None:
    """Short forms included, so that an editor does not mark them."""
    assert formats.from_data(data)
    jsonschema.validate(data, SCHEMA)


@pytest.mark.parametrize(
    "data", [{"command": ["x"], "gpu": 1}, {"command": ["x"], "nodes": 0}, {"kind": "job", "replicas": 1}, []]
)
def test_what_the_models_refuse_is_invalid(data: Any) -> None:
    """Unknown fields, numbers out of range, fields of the other kind."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


def test_defaults_are_written_as_a_file_may_write_them() -> None:
    """Each default in the schema is itself allowed there, and the schema is JSON."""
    schema = json.loads(json.dumps(formats.json_schema()))
    defaults = {k: v["default"] for k, v in schema["$defs"]["GpuJob"]["properties"].items() if "default" in v}
    assert defaults["grace"] == "30s"
    assert formats.from_data({**{k: v for k, v in defaults.items() if v is not None}, "command": ["x"]})
