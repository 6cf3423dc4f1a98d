"""`gpujobs bootstrap` and `gpujobs doctor`."""

from __future__ import annotations

import typer

from gpujobs.bootstrap._cli_doctor import doctor
from gpujobs.bootstrap._cli_monitoring import monitoring
from gpujobs.bootstrap.gpu_operator import _cli as gpu_operator
from gpujobs.bootstrap.gpu_sharing import _cli as gpu_sharing
from gpujobs.bootstrap.microk8s import _cli as microk8s
from gpujobs.bootstrap.slurm import _cli as slurm

__all__ = ["app", "doctor"]

app = typer.Typer(
    name="bootstrap",
    help="From a bare machine to a GPU cluster and back: look, set up, prove, take away.",
    no_args_is_help=True,
)
app.add_typer(slurm.app, name="slurm")
app.add_typer(microk8s.app, name="microk8s")
app.add_typer(gpu_operator.app, name="gpu-operator")
app.add_typer(gpu_sharing.app, name="gpu-sharing")
app.command()(monitoring)
