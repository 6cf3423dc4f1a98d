"""The rights that a target needs: a Role for one namespace, and a ClusterRole for what looks beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Rule = tuple[str, tuple[str, ...], tuple[str, ...]]
ROLE: tuple[Rule, ...] = (
    ("batch", ("jobs",), ("get", "list", "watch", "create", "patch", "delete")),
    ("apps", ("deployments",), ("get", "list", "watch", "create", "patch", "update", "delete")),
    ("", ("services", "configmaps", "secrets"), ("get", "create", "patch", "delete")),
    ("", ("pods",), ("get", "list", "watch", "patch")),
    ("", ("pods/log",), ("get",)),
    ("", ("pods/exec", "pods/portforward"), ("get", "create")),
    ("", ("events",), ("list",)),
    ("", ("resourcequotas",), ("list",)),
)
"""Everything but what needs the whole cluster."""
CLUSTER_ROLE: tuple[Rule, ...] = (
    ("", ("nodes", "pods"), ("list",)),
    ("node.k8s.io", ("runtimeclasses",), ("get",)),
)
"""Optional: ``capacity``, numbers in ``explain``, preflight, GPU types by name, the nvidia RuntimeClass."""


def manifests(namespace: str, *, account: str = "gpujobs", cluster: bool = False) -> list[dict[str, Any]]:
    """A ServiceAccount with the Role bound to it; with ``cluster`` the ClusterRole too."""
    meta = {"name": account, "namespace": namespace}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    found = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        _role("Role", meta, ROLE),
        _binding("RoleBinding", meta, "Role", account, subject),
    ]
    if cluster:
        wide = {"name": f"gpujobs-{namespace}-{account}"}
        found.append(_role("ClusterRole", wide, CLUSTER_ROLE))
        found.append(_binding("ClusterRoleBinding", wide, "ClusterRole", wide["name"], subject))
    return found


def _role(kind: str, meta: Mapping[str, str], rules: Sequence[Rule]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": dict(meta),
        "rules": [{"apiGroups": [g], "resources": list(r), "verbs": list(v)} for g, r, v in rules],
    }


def _binding(kind: str, meta: Mapping[str, str], role: str, name: str, subject: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": dict(meta),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name},
        "subjects": [dict(subject)],
    }
