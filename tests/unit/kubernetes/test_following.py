"""Following more logs than there may be threads, against a server of its own."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse

import pytest

from gpujobs.backend import LogQuery
from gpujobs.testing.clock import ManualClock
from gpujobs_kubernetes import KubernetesOptions
from gpujobs_kubernetes._api import Api
from gpujobs_kubernetes._follow import Follower
from gpujobs_kubernetes._loglines import Source
from gpujobs_kubernetes._views import pod_view

from .test_edge import kubeconfig
from .test_states import RUNNING, ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpujobs_kubernetes._views import PodView
    from tests.unit.kubernetes.conftest import MakePod

PODS, MOST = 6, 2
LINE = b"2026-01-01T00:00:00.000000001Z hello\n"


class Logs:
    """A server whose pods have written one line each; who follows one hangs until all have ended."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked: Counter[str] = Counter()
        """By whether the log was followed or read once."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlparse(self.path).query)
                outer.asked["followed" if "follow" in query else "read"] += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(LINE)
                if "follow" in query:
                    outer.over.wait(30)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def logs() -> Iterator[Logs]:
    """A server."""
    made = Logs()
    yield made
    made.over.set()
    made.http.shutdown()
    made.http.server_close()


def test_logs_beyond_the_limit_are_read_in_turns(logs: Logs, make_pod: MakePod, tmp_path: Path) -> None:
    """A stream each as far as allowed; of the others one is read in a second, and each when it has ended."""
    file = kubeconfig(tmp_path / "config", f"http://127.0.0.1:{logs.http.server_port}")
    api, clock = Api(KubernetesOptions(kubeconfig=str(file), timeout=5), ManualClock()), ManualClock()

    def look(_: bool) -> list[tuple[Source, PodView]]:  # noqa: FBT001  # as Follower calls it
        status = ended(0) if logs.over.is_set() else RUNNING
        pods = [pod_view(make_pod(status, index=i, name=f"p{i}")) for i in range(PODS)]
        return [(Source("ns", pod.name, pod.uid, pod.index, 0), pod) for pod in pods]

    follower = Follower(api, clock, LogQuery(follow=True, ended=logs.over.is_set), look, most=MOST)
    lines = follower.lines()
    first = [next(lines) for _ in range(MOST + 1)]
    assert logs.asked == {"followed": MOST, "read": 1}

    clock.advance(1)
    first.append(next(lines))
    assert logs.asked == {"followed": MOST, "read": 2}

    clock.advance(1)
    logs.over.set()
    replicas = sorted(line.replica for line in (*first, *lines))
    assert replicas == list(range(PODS))
    assert logs.asked["followed"] == MOST
