"""`gpujobs bootstrap gpu-sharing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gpujobs.bootstrap._cli_options import as_json, command, given, group, yes
from gpujobs.bootstrap._cli_output import Progress, confirm
from gpujobs.bootstrap._cli_verbs import apply_plan, show_checks, show_nothing_taken, show_plan, show_taken
from gpujobs.bootstrap.gpu_sharing.sharing import GpuSharing
from gpujobs.bootstrap.gpu_sharing.verify import verify as prove
from gpujobs.bootstrap.gpu_sharing.wish import Sharing, SharingWish
from gpujobs.bootstrap.kubernetes._cli_options import chart, image, in_cluster, pod_timeout
from gpujobs.bootstrap.kubernetes.access import Which
from gpujobs.bootstrap.kubernetes.trial import IMAGE
from gpujobs.cli._errors import Misuse
from gpujobs.cli._options import several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpujobs.bootstrap.shell import Shell

_wish_options = several(
    [
        click.option("--time-slice", type=int, metavar="N", help="Hand every GPU to N pods that take turns."),
        click.option("--mps", type=int, metavar="N", help="Hand every GPU to N pods side by side, under MPS."),
        click.option(
            "--node",
            multiple=True,
            metavar="NAME=HOW",
            help="For one node: time-slice:8, mps:2 or none; may be repeated.",
        ),
        click.option("--rename", is_flag=True, help="Call a share nvidia.com/gpu.shared."),
        click.option("--refuse-several", is_flag=True, help="Refuse pods that ask for more than one share."),
        click.option("--mig-strategy", metavar="NAME", help="none, single or mixed."),
        click.option(
            "--mig",
            multiple=True,
            metavar="NODE=CONFIG",
            help="Slices of one node, such as gpu-03=all-1g.10gb; may be repeated.",
        ),
        chart,
    ]
)


@command("gpujobs bootstrap gpu-sharing plan --time-slice 4")
@in_cluster
@_wish_options
@as_json
def plan(host: str, shell: Shell, which: dict[str, Any], *, json_: bool, **options: Any) -> None:
    """Look, and print the exact commands that apply would run; nothing is changed."""
    handled = GpuSharing(host, shell, Which.model_validate(which))
    show_plan(handled.plan(_wish(handled, which, options)), as_json=json_)


@command("gpujobs bootstrap gpu-sharing apply --time-slice 4 --node gpu-03=none")
@in_cluster
@_wish_options
@yes
@as_json
def apply(host: str, shell: Shell, which: dict[str, Any], *, yes: bool, json_: bool, **options: Any) -> None:
    """Do what is missing; a second time nothing is, and it says so."""
    handled = GpuSharing(host, shell, Which.model_validate(which))
    planned = handled.plan(_wish(handled, which, options))
    apply_plan(
        planned,
        lambda on_event: handled.carry_out(planned, on_event=on_event),
        yes=yes,
        as_json=json_,
        proof="gpujobs bootstrap gpu-sharing verify",
    )


@command("gpujobs bootstrap gpu-sharing verify")
@in_cluster
@image
@pod_timeout
@as_json
def verify(host: str, shell: Shell, which: dict[str, Any], *, image: str | None, pod_timeout: int, json_: bool) -> int:
    """Prove it: as many pods at once as there are shares, on no more GPUs than there are."""
    handled = GpuSharing(host, shell, Which.model_validate(which))
    checks = prove(handled.cluster, _wish(handled, which, {}), image=image or IMAGE, timeout_s=pod_timeout)
    return show_checks(checks, as_json=json_)


@command("gpujobs bootstrap gpu-sharing undo")
@in_cluster
@yes
@as_json
def undo(host: str, shell: Shell, which: dict[str, Any], *, yes: bool, json_: bool) -> None:
    """Put everything back, and wait until the nodes hand out the former number."""
    handled = GpuSharing(host, shell, Which.model_validate(which))
    if not len(handled.machine.journal):
        show_nothing_taken(f"changed how GPUs are shared in this cluster from {host}", as_json=json_)
        return
    confirm("Share the GPUs as before gpujobs? The device plugins are restarted; pods go on.", yes=yes)
    show_taken(handled.undo(on_event=Progress(several=False)), as_json=json_)


app = group("gpu-sharing", "How the GPUs of a Kubernetes cluster are shared.", plan, apply, verify, undo)


def _wish(handled: GpuSharing, which: dict[str, Any], options: dict[str, Any]) -> SharingWish:
    """What is wished now; what was wished before only where nothing is."""
    wished = wish_of(**options)
    before = handled.wish()
    if wished:
        return SharingWish.model_validate({**wished, **which})
    if before is None:
        raise Misuse("Nothing is asked for, and nothing was before.", "Give --time-slice 4, or see --help for more.")
    return before


def wish_of(  # the options' own help says what they are
    *, time_slice: int | None = None, mps: int | None = None, node: Sequence[str] | None = None, rename: bool = False,
    refuse_several: bool = False, mig_strategy: str | None = None, mig: Sequence[str] | None = None,
    chart: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The fields of a wish that these options mean; none where nothing is asked for.

    Raises:
        Misuse: Both time-slicing and MPS are asked for, or a word is no NAME=VALUE.
    """
    if time_slice is not None and mps is not None:
        raise Misuse("A GPU is shared by time-slicing or by MPS, not both.", "Give --time-slice or --mps.")
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
            raise Misuse(f"{option} {name!r} is no NAME=VALUE.", f"Write it as {option} gpu-03=VALUE.")
    return {name: value for name, _, value in pairs}
