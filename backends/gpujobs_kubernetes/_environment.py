"""The environment of the container: the user's variables, secrets, and who the process is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpujobs_kubernetes._launch import FILES_DIR, escape
from gpujobs_kubernetes._names import FAILURES, IGNORED, INDEX, Place, object_name, ref_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.backend import Submission
    from gpujobs_kubernetes._facts import Site

MASTER_PORT = "29500"


def entries(item: Submission, site: Site, *, secret: str, inherited: Mapping[str, str]) -> list[dict[str, Any]]:
    """The ``env`` list of the container. The user's own wins over what is inherited."""
    spec = item.spec
    plain = {**inherited, **spec.env}
    found = [*_identity(item, site), *(_value(name, text) for name, text in plain.items())]
    if _unasked(item):
        found.append(_value("NVIDIA_VISIBLE_DEVICES", "void"))
    found += [
        {"name": s.name, "valueFrom": {"secretKeyRef": {"name": secret, "key": s.name}}}
        for s in sorted(spec.secrets, key=lambda s: s.name)
    ]
    return found


def _unasked(item: Submission) -> bool:
    """Images that set NVIDIA_VISIBLE_DEVICES=all see every GPU of a node whose default runtime is NVIDIA's.

    Never where a GPU is asked for: the device plugin sets it.
    """
    return item.spec.gpus is None and "NVIDIA_VISIBLE_DEVICES" not in item.spec.env


def _value(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "value": escape(text)}


def _annotation(name: str, annotation: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}}


def _identity(item: Submission, site: Site) -> list[dict[str, Any]]:
    spec, name = item.spec, object_name(item)
    ref = str(ref_to("kubernetes", site.target, Place(site.namespace, spec.kind, name)))
    counts = (spec.nodes, spec.tasks_per_node, spec.array) if spec.kind == "job" else (1, 1, None)
    nodes, tasks, array = counts
    indexed = spec.kind == "job" and site.facts.per_index
    found = [_value("GPUJOBS_KEY", item.key)]
    found.append(_annotation("GPUJOBS_ATTEMPT", FAILURES) if indexed else _value("GPUJOBS_ATTEMPT", "0"))
    if indexed and site.facts.failure_policy:
        # Kubernetes counts these apart and adds nothing up in a variable; a shell that gpujobs starts does.
        found.append(_annotation("GPUJOBS_DISRUPTIONS", IGNORED))
    if array is not None:
        found += [_annotation("GPUJOBS_ARRAY_INDEX", INDEX), _value("GPUJOBS_ARRAY_SIZE", str(array))]
        # The one place where $(X) is meant: an earlier variable of this list.
        found.append({"name": "GPUJOBS_REF", "value": f"{escape(ref)}/$(GPUJOBS_ARRAY_INDEX)"})
    else:
        found.append(_value("GPUJOBS_REF", ref))
    if nodes > 1:
        found += [_annotation("GPUJOBS_NODE_RANK", INDEX), _annotation("GPUJOBS_RANK", INDEX)]
        found.append(_value("MASTER_ADDR", f"{name}-0.{name}"))
    else:
        found += [_value("GPUJOBS_NODE_RANK", "0"), _value("GPUJOBS_RANK", "0"), _value("MASTER_ADDR", "127.0.0.1")]
    found += [
        _value("GPUJOBS_NODES", str(nodes)),
        _value("GPUJOBS_LOCAL_RANK", "0"),
        _value("GPUJOBS_WORLD_SIZE", str(nodes * tasks)),
        _value("MASTER_PORT", MASTER_PORT),
    ]
    if tasks > 1:
        found.append(_value("GPUJOBS_TASKS", str(tasks)))
    if spec.files:
        found.append(_value("GPUJOBS_FILES", FILES_DIR))
    return found
