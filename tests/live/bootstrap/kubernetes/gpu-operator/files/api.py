# Runs where nothing but python3 is: a program of the bed, not of gpujobs.
# ruff: noqa: ANN001, ANN201, PTH123, S310
# mypy: ignore-errors
# pyright: basic, reportAttributeAccessIssue=false, reportOptionalSubscript=false
"""The API server, from inside a pod, with the standard library."""

import json
import ssl
import urllib.error
import urllib.request

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def call(method, path, body=None, kind="application/json"):
    """The answer as JSON, or None for 404."""
    with open(f"{_ACCOUNT}/token") as token:
        headers = {"Authorization": f"Bearer {token.read()}", "Content-Type": kind}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"https://10.96.0.1{path}", data=data, headers=headers, method=method)
    context = ssl.create_default_context(cafile=f"{_ACCOUNT}/ca.crt")
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as e:
        if e.code == 404:
            return None
        raise RuntimeError(f"{method} {path}: {e.code} {e.read().decode()[:300]}") from e


def apply(path, body):
    """Server-side apply."""
    return call("PATCH", f"{path}?fieldManager=gpu-operator&force=true", body, "application/apply-patch+yaml")
