"""``schema``: the fields of a workload, for editors and other programs."""

from __future__ import annotations

import click

from gpujobs.cli import _output as output
from gpujobs.cli._verb import verb


@verb("gpujobs schema job > gpujob.schema.json")
@click.argument("kind", type=click.Choice(["job", "service"]), required=False)
def schema(kind: str | None) -> None:
    """Print the JSON Schema of a workload.

    Of a job, of a service, or without a word of both.
    """
    from gpujobs.formats import json_schema  # noqa: PLC0415  # `--help` needs no model
    from gpujobs.specs import GpuJob, GpuService  # noqa: PLC0415

    if kind is None:
        output.as_json(json_schema())
    else:
        output.as_json((GpuJob if kind == "job" else GpuService).model_json_schema())
