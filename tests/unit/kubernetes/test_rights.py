"""The rights that the documentation shows are those that the backend says it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpujobs import Client, Config, SpecError
from gpujobs_kubernetes import role_manifests

PAGE = Path(__file__).resolve().parents[3] / "docs/kubernetes.md"


def flat(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """(group, resource, verb) of each right."""
    return {(g, r, v) for rule in rules for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}


def test_the_documented_role_is_the_generated_one() -> None:
    """Whoever copies it from the page has all that is needed."""
    block = re.search(r"```yaml\n(apiVersion: rbac.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    shown = yaml.safe_load(block[1])
    made = next(m for m in role_manifests("ml") if m["kind"] == "Role")

    assert flat(shown["rules"]) == flat(made["rules"])
    assert shown["metadata"] == made["metadata"]


def test_what_needs_the_whole_cluster_is_apart() -> None:
    """Only on request, and only reading."""
    wide = [m for m in role_manifests("ml", cluster=True) if m["kind"].startswith("Cluster")]

    assert [m["kind"] for m in wide] == ["ClusterRole", "ClusterRoleBinding"]
    assert {verb for _, _, verb in flat(wide[0]["rules"])} == {"list", "get"}
    assert not any(m["kind"].startswith("Cluster") for m in role_manifests("ml"))


def printed(tmp_path: Path, **options: Any) -> str:
    """What a client prints about a target whose namespace would mean something else to a careless YAML writer."""
    table = '[targets.k]\nbackend = "kubernetes"\nnamespace = "no"\nkubeconfig = "/nowhere"\n'
    with Client(Config.parse(table), state_dir=tmp_path) as client:
        return client.rbac("k", **options)


def test_the_printed_rights_are_the_same_objects(tmp_path: Path) -> None:
    """Read back they are what was meant, and no cluster is asked for them."""
    assert list(yaml.safe_load_all(printed(tmp_path))) == role_manifests("no")
    assert list(yaml.safe_load_all(printed(tmp_path, account="ci", cluster=True))) == role_manifests(
        "no", account="ci", cluster=True
    )


def test_an_account_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """By the name of the option."""
    with pytest.raises(SpecError, match="account: 'A B'"):
        printed(tmp_path, account="A B")
