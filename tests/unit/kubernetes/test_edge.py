"""The edge against a server of its own: errors, retries, and a configuration that is read anew."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs.backend import (
    Backend,
    Runtime,
    SupportsCapacity,
    SupportsCheck,
    SupportsDelete,
    SupportsEvents,
    SupportsExec,
    SupportsExplain,
    SupportsForward,
    SupportsImport,
    SupportsPreflight,
    SupportsRbac,
    SupportsReplicas,
    SupportsScale,
    SupportsWatch,
    Target,
)
from gpujobs.errors import AuthError, ConfigError, NotFoundError, RejectedError, UnavailableError
from gpujobs.testing.clock import ManualClock
from gpujobs_kubernetes import KubernetesBackend, KubernetesOptions
from gpujobs_kubernetes._api import Api
from gpujobs_kubernetes._errors import AlreadyExistsError, ExpiredError, ModifiedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Answer = tuple[int, dict[str, str], Any]


class Server:
    """Answers from a list, and notes what was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
                answer: Answer = outer.answers.pop(0) if outer.answers else (200, {}, {})
                status, headers, body = answer
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815  # http.server's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server."""
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def kubeconfig(file: Path, server: str, token: str = "one") -> Path:  # noqa: S107  # no secret
    """A kubeconfig."""
    file.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "ml"}}],
                "clusters": [{"name": "k", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": {"token": token}}],
            }
        )
    )
    return file


@pytest.fixture
def clock() -> ManualClock:
    """Time that only passes when somebody sleeps."""
    return ManualClock()


@pytest.fixture
def api(server: Server, tmp_path: Path, clock: ManualClock) -> Iterator[Api]:
    """The edge to that server."""
    file = kubeconfig(tmp_path / "config", f"http://127.0.0.1:{server.http.server_port}")
    made = Api(KubernetesOptions(kubeconfig=str(file), timeout=60), clock)
    yield made
    made.close()


def told(reason: str, message: str = "m") -> dict[str, str]:
    """The Status object of an error."""
    return {"kind": "Status", "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, told("Unauthorized"), AuthError),
        (403, told("Forbidden", 'jobs is forbidden: User "u" cannot list resource "jobs"'), AuthError),
        (403, told("Forbidden", "exceeded quota: q"), RejectedError),
        (403, told("Forbidden", "admission webhook denied"), RejectedError),
        (404, told("NotFound", 'jobs.batch "x" not found'), NotFoundError),
        (404, told("NotFound", 'namespaces "x" not found'), RejectedError),
        (409, told("AlreadyExists"), AlreadyExistsError),
        (409, told("Conflict"), ModifiedError),
        (410, told("Expired"), ExpiredError),
        (422, told("Invalid"), RejectedError),
        (429, {}, UnavailableError),
        (500, told("InternalError"), UnavailableError),
        (503, "not json", UnavailableError),
    ],
)
def test_every_answer_is_one_of_our_errors(
    server: Server, api: Api, status: int, body: Any, error: type[Exception]
) -> None:
    """With the server's own words."""
    server.answers = [(status, {}, body)] * 2

    with pytest.raises(error) as caught:
        api.get("/x", patient=False)
    assert str(caught.value)


def test_reading_is_tried_again_and_making_is_not(server: Server, api: Api, clock: ManualClock) -> None:
    """Retry-After is obeyed; a POST is asked once, for whoever holds the key to decide."""
    server.answers = [(429, {"Retry-After": "7"}, {}), (200, {}, {"ok": 1})]
    before = clock.monotonic()
    assert api.get("/x") == {"ok": 1}
    assert clock.monotonic() - before == 7

    server.answers = [(503, {}, {})]
    with pytest.raises(UnavailableError):
        api.post("/x", {})
    assert [verb for verb, _, _ in server.asked] == ["GET", "GET", "POST"]


def test_a_token_that_was_replaced_is_read_anew(server: Server, api: Api, tmp_path: Path) -> None:
    """A 401 makes it read its configuration once more."""
    api.get("/x")
    kubeconfig(tmp_path / "config", f"http://127.0.0.1:{server.http.server_port}", token="two")
    server.answers = [(401, {}, {})]
    api.get("/x")

    assert [token for _, _, token in server.asked] == ["Bearer one", "Bearer one", "Bearer two"]
    assert api.namespace == "ml"


def test_pages_are_fetched_one_by_one(server: Server, api: Api) -> None:
    """Until there is no more."""
    server.answers = [
        (200, {}, {"metadata": {"continue": "c&"}, "items": [{"a": 1}]}),
        (200, {}, {"metadata": {}, "items": [{"a": 2}]}),
    ]

    assert api.list("/x", {"labelSelector": "a=b"}) == [{"a": 1}, {"a": 2}]
    assert [where for _, where, _ in server.asked] == [
        "/x?limit=500&labelSelector=a%3Db",
        "/x?limit=500&labelSelector=a%3Db&continue=c%26",
    ]


def test_nobody_there_is_said_with_the_address(tmp_path: Path) -> None:
    """And is worth another try."""
    api = Api(KubernetesOptions(kubeconfig=str(kubeconfig(tmp_path / "c", "http://127.0.0.1:1"))), ManualClock())

    with pytest.raises(UnavailableError, match="Nothing answers"):
        api.get("/x")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"current-context": "x"}, "no context 'x'"),
        ({"current-context": ""}, "no current context"),
        ({"clusters": []}, "not usable"),
    ],
)
def test_a_kubeconfig_that_is_wrong_is_explained(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """With what there is."""
    file = kubeconfig(tmp_path / "c", "http://127.0.0.1:1")
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))

    with pytest.raises(ConfigError, match=said):
        _ = Api(KubernetesOptions(kubeconfig=str(file)), ManualClock()).connection
    with pytest.raises(ConfigError, match="no kubeconfig"):
        _ = Api(KubernetesOptions(kubeconfig=str(tmp_path / "none")), ManualClock()).connection


@pytest.mark.parametrize(
    "power",
    [
        SupportsCapacity,
        SupportsCheck,
        SupportsDelete,
        SupportsEvents,
        SupportsExec,
        SupportsExplain,
        SupportsForward,
        SupportsImport,
        SupportsPreflight,
        SupportsRbac,
        SupportsReplicas,
        SupportsScale,
        SupportsWatch,
    ],
)
def test_what_the_backend_can_do(tmp_path: Path, power: type) -> None:
    """Every optional protocol but a login."""
    backend: Backend = KubernetesBackend(Target("k", "kubernetes", KubernetesOptions()), Runtime(tmp_path))

    assert isinstance(backend, power)


def test_importing_the_backend_does_not_import_the_client() -> None:
    """It is an extra, and slow."""
    code = "import sys, gpujobs_kubernetes; sys.exit('kubernetes' in sys.modules or 'urllib3' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_making_a_backend_asks_nothing(tmp_path: Path) -> None:
    """Nor does it import the official client."""
    options = KubernetesOptions(kubeconfig=str(tmp_path / "none"))
    backend = KubernetesBackend(Target("k", "kubernetes", options), Runtime(tmp_path))

    backend.close()
