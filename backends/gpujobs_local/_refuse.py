"""Which fields of a workload the local backend cannot honour: each is refused by name, none is dropped. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.errors import UnsupportedError
from gpujobs.refs import Ref

if TYPE_CHECKING:
    from gpujobs.specs import GpuJob, GpuService

_CLUSTER_ONLY = (
    "queue",
    "account",
    "qos",
    "constraint",
    "exclude",
    "node_selector",
    "tolerations",
    "service_account",
    "security_context",
    "runtime_class",
    "image_pull_policy",
    "image_pull_secrets",
)


def refuse(spec: GpuJob | GpuService, *, target: str) -> None:
    """Let through what this backend honours.

    Raises:
        UnsupportedError: The message names the field and what to do.
    """
    if spec.kind == "service":
        raise UnsupportedError(
            "kind: the local backend runs jobs, not services.", next_step="Submit a GpuService to a Kubernetes target."
        )
    for field, why in _refusals(spec, target):
        raise UnsupportedError(
            f"{field}: {why}.",
            next_step=f"Leave {field.split('.')[0]} out, or set it in the defaults of the targets that have it.",
        )


def _refusals(spec: GpuJob, target: str) -> list[tuple[str, str]]:
    found = [(f, "the local backend has nothing of the kind") for f in _CLUSTER_ONLY if getattr(spec, f)]
    if spec.image is not None and not spec.image_optional:
        found.append(("image", "the local backend runs no containers (image_optional=True runs it without)"))
    if spec.command == () and spec.script is None:
        found.append(("command", "it is empty, and the local backend cannot run the image's own"))
    if spec.nodes > 1:
        found.append(("nodes", f"{spec.nodes} are asked for, and this machine is one"))
    if isinstance(spec.priority, str):
        found.append(("priority", f"{spec.priority!r} names a class; here it is a number, the higher the earlier"))
    if spec.gpus is not None and spec.gpus.mode == "mps":
        found.append(("gpus.sharing", "'mps' needs a control daemon that the local backend does not run"))
    found += [
        ("volumes", f"{v.path!r} would have to be mounted; here a job sees the machine's own paths, as they are")
        for v in spec.volumes
        if v.host is None or v.host.rstrip("/") != v.path.rstrip("/") or v.sub_path or v.read_only
    ]
    found += [
        ("files", f"{path!r} is absolute; here files go below $GPUJOBS_FILES") for path in spec.files if path[0] == "/"
    ]
    for after in spec.after:
        ref = Ref.parse(after.ref)
        if (ref.backend, ref.target) != ("local", target):
            found.append(("after", f"{ref} is not a job of the target {target!r}"))
    if "local" in spec.extra:
        found.append(("extra.local", "the local backend takes no extras"))
    return found
