"""Who a submission is: target defaults merged in, the key, and the hash of what the workload means."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gpujobs.backend import Submission
from gpujobs.config import config_error
from gpujobs.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.specs import GpuJob, GpuService

_MAX_KEY = 256
_MERGED = frozenset({"env", "labels", "node_selector", "extra"})


def make_key() -> str:
    """A key that nobody else has: 80 random bits as 20 hexadecimal digits."""
    return secrets.token_hex(10)


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
    data = spec.model_dump(mode="json", exclude_defaults=True, exclude={"files", "secrets"})
    data["kind"] = spec.kind
    if spec.files:
        data["files"] = {path: hashlib.sha256(content).hexdigest() for path, content in spec.files.items()}
    if spec.secrets:
        data["secrets"] = sorted(s.name for s in spec.secrets)
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def submission(spec: GpuJob | GpuService, key: str) -> Submission:
    """The workload with its key and hash."""
    return Submission(spec=spec, key=key, spec_hash=spec_hash(spec))
