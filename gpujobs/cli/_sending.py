"""What ``run``, ``submit`` and ``render`` say of a submission."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.cli import _output as output
from gpujobs.cli._text import one_line

if TYPE_CHECKING:
    from gpujobs.cli._context import App
    from gpujobs.cli._workload import Wanted
    from gpujobs.job import Job


def show(app: App, found: Wanted, *, target: str | None, key: str | None, json_: bool) -> int:
    """Print what would be sent, byte for byte."""
    text = app.client.render(found.workload, target, idempotency_key=key)
    if json_:
        output.as_json({"kind": found.workload.kind, "rendered": text})
    else:
        output.write(text.encode("utf-8", "surrogateescape"))
    _say_lost(found)
    return 0


def tell(job: Job, found: Wanted | None, *, json_: bool) -> int:
    """Print the ref, alone; as JSON with its parts."""
    if json_:
        output.as_json(as_dict(job))
    else:
        output.line(str(job.ref))
    if found is not None:
        _say_lost(found)
    return 0


def as_dict(job: Job) -> dict[str, str | None]:
    """A submission in its public JSON form."""
    ref = job.ref
    return {"ref": str(ref), "kind": ref.kind, "target": ref.target, "backend": ref.backend, "key": job.key}


def _say_lost(found: Wanted) -> None:
    for line in found.lost:
        output.note(f"not expressed: {one_line(line)}")
