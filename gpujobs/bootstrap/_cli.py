"""`gpujobs bootstrap` and `gpujobs doctor`."""

from __future__ import annotations

import click

from gpujobs.bootstrap._cli_doctor import doctor
from gpujobs.bootstrap._cli_monitoring import monitoring
from gpujobs.bootstrap._cli_options import InOrder
from gpujobs.bootstrap.gpu_operator._cli import app as gpu_operator
from gpujobs.bootstrap.gpu_sharing._cli import app as gpu_sharing
from gpujobs.bootstrap.microk8s._cli import app as microk8s
from gpujobs.bootstrap.slurm._cli import app as slurm
from gpujobs.cli._verb import SETTINGS, debug_option, example

__all__ = ["app", "doctor"]


@click.group(
    name="bootstrap",
    cls=InOrder,
    no_args_is_help=False,
    context_settings=SETTINGS,
    epilog=example("gpujobs bootstrap --help", "gpujobs bootstrap slurm plan"),
)
@debug_option
def app() -> None:
    """From a bare machine to a GPU cluster and back: look, set up, prove, take away."""


for _part in (slurm, microk8s, gpu_operator, gpu_sharing, monitoring):
    app.add_command(_part)
