"""What is refused before anything is rendered: fields that Kubernetes cannot honour, values it does not take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpujobs.errors import SpecError, UnsupportedError
from gpujobs.refs import Ref
from gpujobs_kubernetes._names import is_image, is_label_key, is_label_value, is_subdomain

if TYPE_CHECKING:
    from gpujobs.specs import GpuJob, GpuService

_ADVICE = {
    "account": "It belongs to Slurm; leave it out, or set it in the defaults of a Slurm target.",
    "qos": "It belongs to Slurm; use priority='CLASS', the name of a PriorityClass.",
    "constraint": "It belongs to Slurm; use node_selector={'label': 'value'}.",
    "output": "Kubernetes keeps the output itself: read it with logs().",
    "error": "Kubernetes keeps the output itself: read it with logs().",
}
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_MAX_PORT_NAME = 15


def check(spec: GpuJob | GpuService, target: str) -> None:
    """Refuse what could only fail later, or would be dropped in silence.

    Raises:
        UnsupportedError: A field that Kubernetes cannot honour; the message begins with its name.
        SpecError: A value that Kubernetes does not take.
    """
    for field, advice in _ADVICE.items():
        if getattr(spec, field) is not None:
            raise UnsupportedError(f"{field}: Kubernetes has no such thing.", next_step=advice)
    if spec.image is None:
        raise UnsupportedError(
            "image: Kubernetes runs containers, and this workload names no image.",
            next_step="Name one (image, --image), or set it for the target: [targets.NAME.defaults] image = '...'.",
        )
    if "venv" in spec.inherit_env:
        raise UnsupportedError(
            "inherit_env: 'venv' is a directory of this machine, which a container does not see.",
            next_step="Use an image that holds the packages.",
        )
    if isinstance(spec.priority, int):
        raise UnsupportedError(
            f"priority: Kubernetes takes the name of a PriorityClass, not the number {spec.priority}.",
            next_step="Give priority='CLASS'; `kubectl get priorityclasses` shows them.",
        )
    if spec.gpus is not None and "NVIDIA_VISIBLE_DEVICES" in spec.env:
        raise UnsupportedError(
            "env: NVIDIA_VISIBLE_DEVICES is set by the cluster for the GPUs it hands out; another value breaks that.",
            next_step="Leave it out.",
        )
    _check_values(spec)
    if spec.kind == "job":
        _check_job(spec, target)
    else:
        _check_service(spec)


def _check_job(spec: GpuJob, target: str) -> None:
    for after in spec.after:
        ref = Ref.parse(after.ref)
        if (ref.backend, ref.target) != ("kubernetes", target):
            raise UnsupportedError(
                f"after: {after.ref} is not of this target, {target!r}, so its end cannot be seen from here.",
                next_step="Wait for it with wait(), then submit.",
            )
    if spec.array is not None and spec.nodes > 1:
        raise UnsupportedError(
            "array: an array of jobs that span several nodes each is not possible on Kubernetes.",
            next_step="Submit one job per element.",
        )


def _check_service(spec: GpuService) -> None:
    for field in ("time_limit", "start_timeout"):
        if getattr(spec, field) is not None:
            raise UnsupportedError(
                f"{field}: Kubernetes keeps a service running without limits.", next_step="Submit a GpuJob."
            )
    for port in spec.ports:
        if port.name is not None and not (_PORT_NAME.fullmatch(port.name) and len(port.name) <= _MAX_PORT_NAME):
            raise SpecError(
                f"ports: {port.name!r} is no port name for Kubernetes.",
                next_step=f"At most {_MAX_PORT_NAME} lower-case letters, digits and '-', with a letter.",
            )
        if port.node_port is not None and spec.expose not in {None, "node-port"}:
            raise SpecError(f"ports: node_port {port.node_port} needs expose='node-port'.")
    named = [port.name for port in spec.ports if port.name]
    if len(set(named)) != len(named):
        raise SpecError("ports: a name is given twice.", next_step="Give each port its own name, or none.")
    if spec.expose not in {None, "none"} and not spec.ports:
        raise SpecError(f"expose: {spec.expose!r} needs ports.", next_step="Give ports=[...].")


def _check_values(spec: GpuJob | GpuService) -> None:
    if not is_image(spec.image or ""):
        raise SpecError(
            f"image: {spec.image!r} is not an image name.", next_step="Write REGISTRY/NAME:TAG, without 'docker://'."
        )
    for key, value in spec.node_selector.items():
        if not (is_label_key(key) and is_label_value(value)):
            raise SpecError(f"node_selector: {key!r}: {value!r} is no Kubernetes label.")
    names = {"service_account": spec.service_account, "runtime_class": spec.runtime_class, "priority": spec.priority}
    several = [("image_pull_secrets", n) for n in spec.image_pull_secrets]
    several += [("volumes", v.claim) for v in spec.volumes if v.claim is not None]
    for field, name in [*names.items(), *several]:
        if name is not None and not is_subdomain(str(name)):
            raise SpecError(f"{field}: {name!r} cannot be the name of a Kubernetes object.")
    if spec.queue is not None and not is_label_value(spec.queue):
        raise SpecError(f"queue: {spec.queue!r} cannot be the name of a Kueue queue.")
    paths = [v.path for v in spec.volumes] + [p for p in spec.files if p.startswith("/")]
    twice = {p for p in paths if paths.count(p) > 1}
    if twice or any(":" in p for p in paths):
        raise SpecError(
            f"volumes: {min(twice) if twice else next(p for p in paths if ':' in p)!r} cannot be mounted:"
            " a path is given twice or holds ':'."
        )
