"""`gpujobs bootstrap gpu-sharing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpujobs.bootstrap._cli_options import LOCAL, Host, Json, SshOption, Sudo, Yes, connector
from gpujobs.bootstrap._cli_output import Progress, confirm, reported
from gpujobs.bootstrap.errors import RefusedError
from gpujobs.bootstrap.gpu_sharing.sharing import GpuSharing
from gpujobs.bootstrap.gpu_sharing.verify import verify as prove
from gpujobs.bootstrap.gpu_sharing.wish import Sharing, SharingWish
from gpujobs.bootstrap.kubernetes._cli_options import (
    Chart,
    Context,
    DistributionOption,
    Image,
    Kubeconfig,
    Timeout,
    apply_plan,
    given,
    show_checks,
    show_plan,
    show_taken,
)
from gpujobs.bootstrap.kubernetes.access import Which
from gpujobs.bootstrap.kubernetes.trial import IMAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(help="How the GPUs of a Kubernetes cluster are shared.", no_args_is_help=True)

TimeSlice = Annotated[
    int | None, typer.Option("--time-slice", metavar="N", help="Hand every GPU to N pods that take turns.")
]
Mps = Annotated[
    int | None, typer.Option("--mps", metavar="N", help="Hand every GPU to N pods side by side, under MPS.")
]
Node = Annotated[
    list[str] | None,
    typer.Option("--node", metavar="NAME=HOW", help="For one node: time-slice:8, mps:2 or none; may be repeated."),
]
Rename = Annotated[bool, typer.Option("--rename", help="Call a share nvidia.com/gpu.shared.")]
RefuseSeveral = Annotated[bool, typer.Option("--refuse-several", help="Refuse pods that ask for more than one share.")]
MigStrategy = Annotated[str | None, typer.Option("--mig-strategy", help="none, single or mixed.")]
Mig = Annotated[
    list[str] | None,
    typer.Option(
        "--mig", metavar="NODE=CONFIG", help="Slices of one node, such as gpu-03=all-1g.10gb; may be repeated."
    ),
]


@app.command()
def plan(
    *, host: Host = LOCAL, time_slice: TimeSlice = None, mps: Mps = None, node: Node = None, rename: Rename = False,
    refuse_several: RefuseSeveral = False, mig_strategy: MigStrategy = None, mig: Mig = None, chart: Chart = None,
    distribution: DistributionOption = None, kubeconfig: Kubeconfig = None, context: Context = None,
    sudo: Sudo = False, ssh_option: SshOption = None, json_: Json = False,
) -> None:  # fmt: skip
    """Look, and print the exact commands that apply would run; nothing is changed."""
    with reported():
        which = given(distribution=distribution, kubeconfig=kubeconfig, context=context)
        handled = _handled(host, which, sudo=sudo, ssh_option=ssh_option)
        wished = _wish(
            handled, time_slice=time_slice, mps=mps, node=node, rename=rename, refuse_several=refuse_several,
            mig_strategy=mig_strategy, mig=mig, chart=chart, which=which,
        )  # fmt: skip
        show_plan(handled.plan(wished), as_json=json_)


@app.command()
def apply(
    *, host: Host = LOCAL, time_slice: TimeSlice = None, mps: Mps = None, node: Node = None, rename: Rename = False,
    refuse_several: RefuseSeveral = False, mig_strategy: MigStrategy = None, mig: Mig = None, chart: Chart = None,
    distribution: DistributionOption = None, kubeconfig: Kubeconfig = None, context: Context = None,
    sudo: Sudo = False, ssh_option: SshOption = None, yes: Yes = False, json_: Json = False,
) -> None:  # fmt: skip
    """Do what is missing; a second time nothing is, and it says so."""
    with reported():
        which = given(distribution=distribution, kubeconfig=kubeconfig, context=context)
        handled = _handled(host, which, sudo=sudo, ssh_option=ssh_option)
        wished = _wish(
            handled, time_slice=time_slice, mps=mps, node=node, rename=rename, refuse_several=refuse_several,
            mig_strategy=mig_strategy, mig=mig, chart=chart, which=which,
        )  # fmt: skip
        apply_plan(
            handled.plan(wished),
            lambda: handled.apply(wished, on_event=Progress(several=False)),
            yes=yes,
            as_json=json_,
            proof="gpujobs bootstrap gpu-sharing verify",
        )


@app.command()
def verify(
    *, host: Host = LOCAL, image: Image = None, pod_timeout: Timeout = 300, distribution: DistributionOption = None,
    kubeconfig: Kubeconfig = None, context: Context = None, sudo: Sudo = False, ssh_option: SshOption = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """Prove it: as many pods at once as there are shares, on no more GPUs than there are."""
    with reported():
        which = given(distribution=distribution, kubeconfig=kubeconfig, context=context)
        handled = _handled(host, which, sudo=sudo, ssh_option=ssh_option)
        wished = _wish(handled)
        good = show_checks(prove(handled.cluster, wished, image=image or IMAGE, timeout_s=pod_timeout), as_json=json_)
    if not good:
        raise typer.Exit(1)


@app.command()
def undo(
    *, host: Host = LOCAL, distribution: DistributionOption = None, kubeconfig: Kubeconfig = None,
    context: Context = None, sudo: Sudo = False, ssh_option: SshOption = None, yes: Yes = False, json_: Json = False,
) -> None:  # fmt: skip
    """Put everything back, and wait until the nodes hand out the former number."""
    with reported():
        which = given(distribution=distribution, kubeconfig=kubeconfig, context=context)
        handled = _handled(host, which, sudo=sudo, ssh_option=ssh_option)
        if len(handled.machine.journal):
            confirm("Share the GPUs as before gpujobs? The device plugins are restarted; pods go on.", yes=yes)
        show_taken(handled.undo(on_event=Progress(several=False)), as_json=json_)


def _handled(host: str, which: dict[str, Any], *, sudo: bool, ssh_option: Sequence[str] | None) -> GpuSharing:
    return GpuSharing(host, connector(sudo=sudo, ssh_options=ssh_option)(host), Which.model_validate(which))


def _wish(handled: GpuSharing, **options: Any) -> SharingWish:
    """What is wished now; what was wished before only where nothing is."""
    wished = wish_of(**options) if options else {}
    before = handled.wish()
    if wished:
        return SharingWish.model_validate({**wished, **options.get("which", {})})
    if before is None:
        raise RefusedError(
            "Nothing is asked for, and nothing was before.", next_step="Give --time-slice 4, or see --help for more."
        )
    return before


def wish_of(  # the options' own help says what they are
    *, time_slice: int | None = None, mps: int | None = None, node: Sequence[str] | None = None, rename: bool = False,
    refuse_several: bool = False, mig_strategy: str | None = None, mig: Sequence[str] | None = None,
    chart: str | None = None, which: object = None,
) -> dict[str, Any]:  # fmt: skip
    """The fields of a wish that these options mean; none where nothing is asked for.

    Raises:
        RefusedError: Both time-slicing and MPS are asked for, or a word is no NAME=VALUE.
    """
    del which
    if time_slice is not None and mps is not None:
        raise RefusedError("A GPU is shared by time-slicing or by MPS, not both.", next_step="Give one of the two.")
    manner = {"rename": rename, "refuse_several": refuse_several}
    wished: dict[str, Any] = {}
    if time_slice is not None or mps is not None:
        mode = "time-slice" if time_slice is not None else "mps"
        wished["default"] = {"mode": mode, "replicas": time_slice or mps or 0, **manner}
    if node:
        shares = {name: Sharing.model_validate(how) for name, how in _pairs("--node", node).items()}
        wished["nodes"] = {
            name: share.replace(**manner) if share.mode != "none" else share for name, share in shares.items()
        }
    if mig_strategy is not None:
        wished["mig_strategy"] = mig_strategy
    if mig:
        wished["mig"] = _pairs("--mig", mig)
    return {**wished, **given(chart=chart)} if wished else {}


def _pairs(option: str, words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise RefusedError(f"{option} {name!r} is no NAME=VALUE.", next_step=f"Write it as {option} gpu-03=VALUE.")
    return {name: value for name, _, value in pairs}
