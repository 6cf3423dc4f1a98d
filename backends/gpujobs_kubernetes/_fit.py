"""Whether a pod could ever run on a node, and how many GPUs are free for it: what the scheduler will not tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpujobs_kubernetes._capacity import requests
from gpujobs_kubernetes._pod import HOSTNAME
from gpujobs_kubernetes._quantity import whole
from gpujobs_kubernetes._tables import inside, rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujobs_kubernetes._capacity import Held
    from gpujobs_kubernetes._facts import NodeFacts

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a node can never run a pod."""

    node: str
    why: str


def misfit(pod: Mapping[str, Any], node: NodeFacts) -> str:
    """Why a pod spec can never run on a node, however empty; empty text where it could."""
    for key, value in inside(pod, "nodeSelector").items():
        if node.labels.get(key) != value:
            return f"its label {key} is {node.labels.get(key)!r}, not {value!r}"
    for term in _terms(pod):
        if not holds(term, node):
            return f"its label {term['key']} is {node.labels.get(term['key'])!r}, not {_words(term)}"
    for taint in node.taints:
        if taint.get("effect") in {"NoSchedule", "NoExecute"} and not _tolerated(pod, taint):
            return f"it has the taint {taint.get('key')}"
    for resource, amount in requests(pod).items():
        if amount > node.gpus.get(resource, 0):
            return f"it has {node.gpus.get(resource, 0)} {resource}, and {amount} are asked for"
    return _too_large(pod, node)


def _too_large(pod: Mapping[str, Any], node: NodeFacts) -> str:
    asked: Table = pod["containers"][0].get("resources", {}).get("requests", {})
    cpus, memory = whole(asked.get("cpu", "0"), milli=True) / 1000, whole(asked.get("memory", "0"))
    if node.cpus and cpus > node.cpus:
        return f"it has {node.cpus:g} CPUs, and {cpus:g} are asked for"
    if node.memory and memory > node.memory:
        return f"it has {node.memory} bytes of memory, and {memory} are asked for"
    return ""


def free_gpus(pod: Mapping[str, Any], nodes: Sequence[NodeFacts], taken: Held) -> list[str]:
    """One sentence per node that fits, with its numbers, and one per node that does not."""
    lines: list[str] = []
    for node in nodes:
        why = misfit(pod, node)
        offered = ", ".join(
            f"{max(0, total - taken[node.name, r])} of {total} {r} free" for r, total in sorted(node.gpus.items())
        )
        kind = f" ({node.product})" if node.product else ""
        state = f"{node.unready}" if node.unready else f"cannot run it: {why}" if why else offered or "fits"
        lines.append(f"{node.name}{kind}: {state}")
    return lines


def _terms(pod: Mapping[str, Any]) -> list[Table]:
    required = inside(pod, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = rows(required, "nodeSelectorTerms")
    return rows(terms[0], "matchExpressions") if len(terms) == 1 else []


def holds(term: Mapping[str, Any], node: NodeFacts) -> bool:
    """Whether a node selector requirement holds on a node."""
    key: str = term["key"]
    values: list[str] = term.get("values") or []
    value = node.labels.get(key, node.name if key == HOSTNAME else None)
    operator = term["operator"]
    if operator == "In":
        return bool(value in values)
    if operator == "NotIn":
        return bool(value not in values)
    if operator in {"Gt", "Lt"}:
        if value is None or not value.isdigit():
            return False
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    return bool((value is not None) == (operator == "Exists"))


def _words(term: Mapping[str, Any]) -> str:
    values = " or ".join(map(repr, term.get("values") or ()))
    return {"Gt": f"above {values}", "Lt": f"below {values}", "NotIn": f"other than {values}"}.get(
        term["operator"], values or str(term["operator"])
    )


def _tolerated(pod: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    for toleration in pod.get("tolerations") or ():
        if toleration.get("effect") not in {None, taint.get("effect")}:
            continue
        key = toleration.get("key")
        if key is None and toleration.get("operator") == "Exists":
            return True
        same = key == taint.get("key")
        if same and (toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")):
            return True
    return False
