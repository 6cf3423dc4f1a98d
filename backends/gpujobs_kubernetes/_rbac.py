"""The rights that a target needs: a Role for one namespace, a ClusterRole for what looks beyond it, the releaser's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gpujobs_kubernetes._releaser import NAME as RELEASER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Rule(NamedTuple):
    """One rule of a role; ``names`` narrows it to objects of these names."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


ROLE = (
    Rule("batch", ("jobs",), ("get", "list", "watch", "create", "patch", "delete")),
    Rule("apps", ("deployments",), ("get", "list", "watch", "create", "patch", "update", "delete")),
    Rule("", ("services", "configmaps", "secrets"), ("get", "create", "patch", "delete")),
    Rule("", ("pods",), ("get", "list", "watch", "patch")),
    Rule("", ("pods/log",), ("get",)),
    Rule("", ("pods/exec", "pods/portforward"), ("get", "create")),
    Rule("", ("events",), ("list",)),
    Rule("", ("resourcequotas",), ("list",)),
)
"""Everything but what needs the whole cluster."""
CLUSTER_ROLE = (
    Rule("", ("nodes", "pods"), ("list",)),
    Rule("node.k8s.io", ("runtimeclasses",), ("get",)),
)
"""Optional: ``capacity``, numbers in ``explain``, preflight, GPU types by name, the nvidia RuntimeClass."""
RELEASER_ROLE = (
    Rule("batch", ("jobs",), ("get", "list", "watch", "patch")),
    Rule("apps", ("deployments",), ("get", "list", "watch")),
    Rule("apps", ("deployments",), ("delete",), (RELEASER,)),
    Rule("", ("pods",), ("list", "watch")),
    Rule("", ("events",), ("list",)),
)
"""What the releaser pod needs: to look, to wake or end jobs that wait, and to remove itself."""


def manifests(
    namespace: str, *, account: str = "gpujobs", cluster: bool = False, releaser: str | None = None
) -> list[dict[str, Any]]:
    """A ServiceAccount with the Role bound to it; with ``cluster`` the ClusterRole too.

    ``releaser`` is the account of the releaser pod, which gets a Role of its own.
    """
    found = _granted(namespace, account, ROLE)
    if cluster:
        wide = {"name": f"gpujobs-{namespace}-{account}"}
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
        found.append(_role("ClusterRole", wide, CLUSTER_ROLE))
        found.append(_binding("ClusterRoleBinding", wide, "ClusterRole", wide["name"], subject))
    if releaser is not None:
        found += _granted(namespace, releaser, RELEASER_ROLE)
    return found


def _granted(namespace: str, account: str, rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """A ServiceAccount and the Role of the same name that is bound to it."""
    meta = {"name": account, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        _role("Role", meta, rules),
        _binding("RoleBinding", meta, "Role", account, {"kind": "ServiceAccount", **meta}),
    ]


def _role(kind: str, meta: Mapping[str, str], rules: Sequence[Rule]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": dict(meta),
        "rules": [_rule(rule) for rule in rules],
    }


def _rule(rule: Rule) -> dict[str, list[str]]:
    narrowed = {"resourceNames": list(rule.names)} if rule.names else {}
    return {
        "apiGroups": [rule.group],
        "resources": list(rule.resources),
        **narrowed,
        "verbs": list(rule.verbs),
    }


def _binding(kind: str, meta: Mapping[str, str], role: str, name: str, subject: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": dict(meta),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name},
        "subjects": [dict(subject)],
    }
