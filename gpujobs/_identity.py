"""Who a submission is: target defaults merged in, the key, and the hash of what the workload means."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gpujobs.backend import Submission
from gpujobs.config import config_error
from gpujobs.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujobs.specs import GpuJob, GpuService

_MAX_KEY = 256
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_PLAIN = frozenset(
    {"kind", "name", "command", "args", "script", "setup", "workdir", "env", "inherit_env", "labels", "cpus", "image"}
    | {"image_optional", "queue", "account", "qos", "priority", "constraint", "exclude", "node_selector", "nodes"}
    | {"tasks_per_node", "array", "parallelism", "retries", "requeue", "output", "error", "extra"}
)
"""Fields whose values are JSON as they are."""
_MERGED = frozenset({"env", "labels", "node_selector", "extra"})


def make_key() -> str:
    """A key that nobody else has: 80 random bits as 20 hexadecimal digits."""
    return secrets.token_hex(10)


def make_keys(count: int) -> list[str]:
    """Keys that nobody else has; of several the first half is the same, and a backend may claim them all by that."""
    stem = make_key()
    return [stem] if count == 1 else [f"{stem}.{number}" for number in range(count)]


def check_key(key: str) -> str:
    """The key itself.

    Raises:
        SpecError: It is empty, too long, or holds a NUL, a line break or what is no UTF-8.
    """
    if not key or len(key) > _MAX_KEY or any(c in "\0\n\r" or "\ud800" <= c <= "\udfff" for c in key):
        raise SpecError(
            f"{key[:40]!r} is not an idempotency key.",
            next_step=f"Give 1 to {_MAX_KEY} characters of text without line breaks or NUL.",
        )
    return key


def with_defaults(spec: GpuJob | GpuService, defaults: Mapping[str, Any], *, target: str) -> GpuJob | GpuService:
    """The workload with the target's defaults in every field that it does not set itself; tables are merged.

    Raises:
        ConfigError: A default is no value of its field.
    """
    if not defaults:
        return spec
    wanted = {k: v for k, v in defaults.items() if k in type(spec).model_fields}
    changes = {k: v for k, v in wanted.items() if k not in spec.model_fields_set}
    for name in _MERGED & set(wanted) & spec.model_fields_set:
        changes[name] = {**wanted[name], **getattr(spec, name)}
    if not changes:
        return spec
    # A default of one of these would contradict what the user says.
    if "command" in spec.model_fields_set or spec.script is not None:
        changes = {k: v for k, v in changes.items() if k not in {"command", "script", "args"}}
    try:
        return spec.replace(**changes)
    except ValidationError as e:
        raise config_error(f"[targets.{target}.defaults]", e) from e


def spec_hash(spec: GpuJob | GpuService) -> str:
    """sha256 of the canonical JSON of the fields that differ from their defaults.

    Contents of files count by digest; secrets and inherited variables by name only.
    """
    return _hash(spec, *_canonical([spec]))


def submission(spec: GpuJob | GpuService, key: str) -> Prepared:
    """One workload with its key."""
    return submissions([(spec, key, False)])[0]


def submissions(keyed: Sequence[tuple[GpuJob | GpuService, str, bool]]) -> list[Prepared]:
    """Workloads with their keys (and whether those were made), hashes and texts for the journal."""
    texts = _canonical([spec for spec, *_ in keyed])
    return [
        Prepared(spec, key, _hash(spec, text), made, _text(spec, text))
        for (spec, key, made), text in zip(keyed, texts, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Prepared(Submission):
    """A submission, and what the core itself needs of it.

    Attributes:
        text: The workload as JSON, secrets by name only.
    """

    text: str = ""


def _canonical(specs: Sequence[GpuJob | GpuService]) -> list[str | None]:
    """The canonical JSON of workloads in which only plain texts, numbers and tables were set; None for any other.

    Most are such, and serialising them field by field costs a third of what the models' own serialiser does.
    """
    tables = [_plain_fields(spec) for spec in specs]
    try:
        texts = iter(_encode([table for table in tables if table is not None]))
    except (TypeError, ValueError):  # something in ``extra`` that is no JSON as it is
        return [None] if len(specs) == 1 else [text for spec in specs for text in _canonical([spec])]
    return [None if table is None else next(texts) for table in tables]


def _plain_fields(spec: GpuJob | GpuService) -> dict[str, Any] | None:
    values, names = spec.__dict__, spec.model_fields_set
    if not names <= _PLAIN:
        return None
    default = _defaults(type(spec))
    found = {name: values[name] for name in names if values[name] != default[name]}
    found["kind"] = spec.kind
    return found


def _encode(tables: Sequence[dict[str, Any]]) -> list[str]:
    """The JSON of each, in one call: of a thousand small ones, calling takes longer than encoding."""
    if not tables:
        return []
    between = secrets.token_hex(16)  # which nobody's table holds
    values: list[Any] = [between] * (2 * len(tables) - 1)
    values[::2] = tables
    return _ENCODER.encode(values)[1:-1].split(f',"{between}",')


@cache
def _defaults(model: type[GpuJob | GpuService]) -> dict[str, Any]:
    return {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}


def _hash(spec: GpuJob | GpuService, canonical: str | None) -> str:
    if canonical is None:
        data = spec.model_dump(mode="json", exclude_defaults=True, exclude={"files", "secrets"})
        data["kind"] = spec.kind
        if spec.files:
            data["files"] = {path: hashlib.sha256(content).hexdigest() for path, content in spec.files.items()}
        if spec.secrets:
            data["secrets"] = sorted(s.name for s in spec.secrets)
        canonical = _ENCODER.encode(data)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _text(spec: GpuJob | GpuService, canonical: str | None) -> str:
    if canonical is not None:
        return canonical
    return json.dumps(spec.model_dump(mode="json", exclude_defaults=True) | {"kind": spec.kind})
