"""Replacing a service's definition: new children first, then the Deployment, then the Service."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from gpujobs.errors import NotFoundError, RejectedError
from gpujobs_kubernetes._api import DEPLOYMENTS, SERVICES, path
from gpujobs_kubernetes._errors import ModifiedError
from gpujobs_kubernetes._names import HOLD, REPLICAS
from gpujobs_kubernetes._tables import annotations_of

if TYPE_CHECKING:
    from gpujobs_kubernetes._api import Api, Table
    from gpujobs_kubernetes._manifests import Objects
    from gpujobs_kubernetes._submit import Sender

_TRIES = 5
_RESTARTED = "kubectl.kubernetes.io/restartedAt"


def roll_out(api: Api, sender: Sender, objects: Objects, found: Table, *, now: float) -> None:
    """Bring a Deployment and its Service to a new definition.

    Raises:
        RejectedError: Kubernetes refuses the definition, or the object changes too fast.
    """
    meta = found["metadata"]
    namespace, name = meta["namespace"], meta["name"]
    service = next((c for c in objects.children if c["kind"] == "Service"), None)
    for child in objects.children:
        if child["kind"] != "Service":
            sender.adopt(child, found)
            _refresh(api, child)
    for _ in range(_TRIES):
        try:
            api.put(path(DEPLOYMENTS, namespace, name), _merged(objects.main, found, now))
        except ModifiedError:
            found = api.get(path(DEPLOYMENTS, namespace, name))
        else:
            break
    else:
        raise RejectedError(f"{namespace}/{name} changes too fast to be updated.", next_step="Try again.")
    _roll_service(api, sender, service, found)


def _merged(main: Table, found: Table, now: float) -> Table:
    """The new definition on the old object: what the cluster noted on it stays, a hold of ours goes."""
    meta = found["metadata"]
    notes: Table = {**annotations_of(found), **main["metadata"]["annotations"]}
    replicas = int(notes.pop(REPLICAS, main["spec"]["replicas"]))
    notes.pop(HOLD, None)
    new: Table = {**main, "metadata": {**meta, "labels": main["metadata"]["labels"], "annotations": notes}}
    template = {**main["spec"]["template"]}
    # A secret's new value shows in no definition: pods are replaced, so that they read it.
    template["metadata"] = {**template["metadata"], "annotations": {_RESTARTED: f"{now:.6f}"}}
    new["spec"] = {**main["spec"], "replicas": replicas, "template": template}
    return new


def _refresh(api: Api, child: Table) -> None:
    """A Secret of the same definition may be there with older values."""
    if child["kind"] == "Secret":
        meta = child["metadata"]
        api.patch(path("v1/secrets", meta["namespace"], meta["name"]), {"stringData": child["stringData"]})


def _roll_service(api: Api, sender: Sender, service: Table | None, owner: Table) -> None:
    namespace, name = owner["metadata"]["namespace"], owner["metadata"]["name"]
    where = path(SERVICES, namespace, name)
    try:
        there = api.get(where)
    except NotFoundError:
        there = None
    if service is None:
        if there is not None:
            with contextlib.suppress(NotFoundError):
                api.delete(where)
        return
    if there is None:
        sender.adopt(service, owner)
        return
    headless = (there["spec"].get("clusterIP") == "None", service["spec"].get("clusterIP") == "None")
    if headless[0] != headless[1]:  # an address can be neither given nor taken away afterwards
        api.delete(where)
        sender.adopt(service, owner)
        return
    spec = {k: v for k, v in service["spec"].items() if k != "clusterIP"}
    api.patch(where, {"metadata": {"labels": service["metadata"]["labels"]}, "spec": spec})
