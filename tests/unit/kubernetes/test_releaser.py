"""The pod that releases: how it is made, when it is told, and that it never goes while somebody needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import ValidationError

from gpujobs.backend import Runtime, Submission, Submitted, Target
from gpujobs.errors import RejectedError, SpecError, UnavailableError
from gpujobs.refs import Ref
from gpujobs_kubernetes import KubernetesBackend, KubernetesOptions, role_manifests
from gpujobs_kubernetes._options import Releaser
from gpujobs_kubernetes._releaser import deployment
from gpujobs_kubernetes._releasing import Keeper
from gpujobs_kubernetes.releaser import Releaser as Program

from .test_edge import Answer, Server, api, clock, kubeconfig, server, told

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpujobs.testing.clock import ManualClock
    from gpujobs_kubernetes._api import Api
    from tests.unit.kubernetes.conftest import Submit

__all__ = ["api", "clock", "server"]
OWN = {"metadata": {"name": "gpujobs-releaser", "namespace": "ml", "uid": "u", "resourceVersion": "5"}}
GONE: Answer = (404, {}, told("NotFound", "no such"))
WHERE = "/apis/apps/v1/namespaces/ml/deployments"
WAITING = (
    "/apis/batch/v1/namespaces/ml/jobs"
    "?limit=500&labelSelector=app.kubernetes.io%2Fmanaged-by%3Dgpujobs%2Cgpujobs%2Fwaits"
)


def made(**releaser: Any) -> dict[str, Any]:
    """The Deployment of a releaser."""
    return deployment(Releaser.model_validate({"image": "i:1", **releaser}), "ml", [], renewed="r")


def test_the_pod_asks_for_little_and_may_do_little() -> None:
    """No GPU, no root, nothing to write on: what the strictest namespaces demand."""
    pod = made()["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert not any("gpu" in name for name in container["resources"]["limits"])
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert (pod["securityContext"]["runAsNonRoot"], container["securityContext"]["readOnlyRootFilesystem"]) == (
        True,
    ) * 2
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["serviceAccountName"] == "gpujobs-releaser"


def test_a_releaser_is_an_image_or_a_table() -> None:
    """The short form is the image; what is wrong is told when the configuration is read."""
    assert KubernetesOptions.model_validate({"releaser": "r/i:1"}).releaser == Releaser(image="r/i:1")
    for wrong in ({"image": "docker://i"}, {"image": "i", "service_account": "A"}, {"image": "i", "x": 1}):
        with pytest.raises(ValidationError):
            KubernetesOptions.model_validate({"releaser": wrong})


def test_the_patch_is_merged_and_cannot_rename_it() -> None:
    """As ``extra`` of a workload."""
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "command": ["x"]}]}}}}
    container = made(extra=patch)["spec"]["template"]["spec"]["containers"][0]
    assert (container["command"], container["image"]) == (["x"], "i:1")

    with pytest.raises(SpecError, match=r"releaser\.extra"):
        made(extra={"metadata": {"name": "other"}})


def test_its_rights_are_printed_with_the_others() -> None:
    """An account of its own; what it may delete is itself."""
    account, role, binding = role_manifests("ml", releaser="r")[3:]

    assert [o["kind"] for o in (account, role, binding)] == ["ServiceAccount", "Role", "RoleBinding"]
    assert {o["metadata"]["name"] for o in (account, role, binding)} == {"r"}
    deleting = [rule for rule in role["rules"] if "delete" in rule["verbs"]]
    assert [(rule["resources"], rule["resourceNames"]) for rule in deleting] == [
        (["deployments"], ["gpujobs-releaser"])
    ]
    assert not any("create" in rule["verbs"] for rule in role["rules"])


def test_a_target_with_one_prints_its_rights(tmp_path: Path) -> None:
    """Under the account that the target names; without one there are none."""
    table = {"namespace": "ml", "kubeconfig": "/nowhere"}
    with_one = {**table, "releaser": {"image": "i", "service_account": "r"}}
    texts = [
        KubernetesBackend(Target("k", "kubernetes", KubernetesOptions.model_validate(t)), Runtime(tmp_path)).rbac()
        for t in (table, with_one)
    ]

    assert [len(list(yaml.safe_load_all(text))) for text in texts] == [3, 6]
    assert list(yaml.safe_load_all(texts[1])) == role_manifests("ml", releaser="r")


class Sending:
    """Sends nothing, and notes what it was given."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, items: Sequence[Submission]) -> list[Submitted]:
        """A ref for each."""
        self.keys += [item.key for item in items]
        return [Ref("kubernetes", "k", f"ml/job/{item.key}") for item in items]


@pytest.fixture
def keeper(api: Api, clock: ManualClock) -> Keeper:
    """Keeps a releaser on that server."""
    return Keeper(api, clock, Releaser(image="i:1"), [])


@pytest.fixture
def items(submit: Submit) -> list[Submission]:
    """One that waits and one that does not."""
    return [submit(key="waits", after=["kubernetes://k/ml/job/x"]), submit(key="plain")]


def asked(server: Server) -> list[tuple[str, str]]:
    """Verb and path of each request."""
    return [(verb, where) for verb, where, _ in server.asked]


def test_it_is_there_before_and_told_after(server: Server, keeper: Keeper, items: list[Submission]) -> None:
    """Made where there is none; changed once more when the jobs are there, so that it cannot end just then."""
    sending = Sending()
    server.answers = [GONE, (201, {}, OWN), (200, {}, OWN)]
    results = keeper.submit(items, sending)

    assert [str(r) for r in results] == ["kubernetes://k/ml/job/waits", "kubernetes://k/ml/job/plain"]
    own = f"{WHERE}/gpujobs-releaser"
    assert asked(server) == [("PATCH", own), ("POST", f"{WHERE}?fieldValidation=Strict"), ("PATCH", own)]


def test_where_there_can_be_none_nothing_waits_for_it(server: Server, keeper: Keeper, items: list[Submission]) -> None:
    """The job that waits is refused before anything of it is made; the other is sent."""
    sending = Sending()
    server.answers = [GONE, (422, {}, told("Invalid", "no such account"))]
    refused, taken = keeper.submit(items, sending)

    assert isinstance(refused, RejectedError)
    assert (sending.keys, isinstance(taken, Ref)) == (["plain"], True)


def test_one_that_cannot_be_told_leaves_the_outcome_open(
    server: Server,
    keeper: Keeper,
    items: list[Submission],
) -> None:
    """The job is there, but perhaps nobody to release it: submitting again with the key settles it."""
    server.answers = [(200, {}, OWN), *[(422, {}, told("Invalid"))] * 2]
    unknown, taken = keeper.submit(items, Sending())

    assert isinstance(unknown, UnavailableError)
    assert isinstance(taken, Ref)


def test_one_that_is_being_deleted_is_waited_for(server: Server, keeper: Keeper) -> None:
    """Then it is made anew."""
    going = {"metadata": {**OWN["metadata"], "deletionTimestamp": "now"}}
    server.answers = [(200, {}, going), GONE]
    keeper.ensure()

    assert [verb for verb, _ in asked(server)] == ["PATCH", "PATCH", "POST"]


def program(tmp_path: Path, server: Server, clock: ManualClock) -> Program:
    """The program of the pod, with a kubeconfig in place of the pod's account."""
    file = kubeconfig(tmp_path / "config", f"http://127.0.0.1:{server.http.server_port}")
    options = KubernetesOptions(kubeconfig=str(file), timeout=60)
    return Program(Target("kubernetes", "kubernetes", options), Runtime(tmp_path, clock))


def test_it_removes_only_what_it_has_read(server: Server, tmp_path: Path, clock: ManualClock) -> None:
    """Told in the last moment, it looks again; an API server that cannot answer is waited for."""
    nothing: Answer = (200, {}, {"items": [], "metadata": {}})
    server.answers = [
        (503, {}, told("ServiceUnavailable")),
        *((200, {}, OWN), nothing, (409, {}, told("Conflict"))),
        *((200, {}, OWN), nothing, (200, {}, {})),
    ]
    program(tmp_path, server, clock).run()

    own = f"{WHERE}/gpujobs-releaser"
    looks = [("GET", own), ("GET", WAITING), ("DELETE", own)]
    assert asked(server) == [("GET", own), *looks, *looks]


def test_it_ends_where_somebody_else_removed_it(server: Server, tmp_path: Path, clock: ManualClock) -> None:
    """And looks at nothing any more."""
    server.answers = [GONE]
    program(tmp_path, server, clock).run()

    assert [verb for verb, _ in asked(server)] == ["GET"]


def test_what_waits_for_another_namespace_is_left_to_clients(
    server: Server,
    tmp_path: Path,
    clock: ManualClock,
) -> None:
    """The pod may not look there; it does not stay for that job."""
    notes = {"gpujobs/hold": "after", "gpujobs/after": "ok:kubernetes://k/elsewhere/job/x"}
    meta = {"name": "j", "namespace": "ml", "labels": {"app.kubernetes.io/managed-by": "gpujobs"}, "annotations": notes}
    waiting = {"metadata": meta, "spec": {"suspend": True}}
    server.answers = [(200, {}, OWN), (200, {}, {"items": [waiting], "metadata": {}}), (200, {}, {})]
    program(tmp_path, server, clock).run()

    assert [verb for verb, _ in asked(server)] == ["GET", "GET", "DELETE"]
