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
from .test_pieces import CHUNKED, LINES, WHOLE, Speaker, speaker
from .test_states import RUNNING, ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpujobs.results import LogLine
    from gpujobs_kubernetes._views import PodView
    from tests.unit.kubernetes.conftest import MakePod

__all__ = ["speaker"]  # a fixture
PODS, MOST = 6, 2
LINE = b"2026-01-01T00:00:00.000000001Z hello\n"


class Logs:
    """A server whose pods have written one line each; who follows one hangs until all have ended."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked: Counter[str] = Counter()
        """By whether the log was followed or read once."""
        self.failures = 0
        """So many questions the kubelet fails to ask its runtime about."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlparse(self.path).query)
                outer.asked["followed" if "follow" in query else "read"] += 1
                if outer.failures:
                    outer.failures -= 1
                    self.send_error(400, explain='{"message": "unable to retrieve container logs for containerd://x"}')
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(LINE)
                if "follow" in query:
                    outer.over.wait(120)

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


def follow(logs: Logs, clock: ManualClock, make_pod: MakePod, folder: Path, *, pods: int) -> Iterator[LogLine]:
    """The lines of pods that run until the logs are over."""
    file = kubeconfig(folder / "config", f"http://127.0.0.1:{logs.http.server_port}")
    api = Api(KubernetesOptions(kubeconfig=str(file), timeout=60), clock)

    def look(_: bool) -> list[tuple[Source, PodView]]:  # noqa: FBT001  # as Follower calls it
        status = ended(0) if logs.over.is_set() else RUNNING
        views = [pod_view(make_pod(status, index=i, name=f"p{i}")) for i in range(pods)]
        return [(Source("ns", pod.name, pod.uid, pod.index, 0), pod) for pod in views]

    return Follower(api, clock, LogQuery(follow=True, ended=logs.over.is_set), look, most=MOST).lines()


def test_logs_beyond_the_limit_are_read_in_turns(logs: Logs, make_pod: MakePod, tmp_path: Path) -> None:
    """A stream each as far as allowed; of the others one is read in a second, and each when it has ended."""
    clock = ManualClock()
    lines = follow(logs, clock, make_pod, tmp_path, pods=PODS)
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


def test_a_kubelet_that_cannot_reach_its_runtime_is_asked_again(logs: Logs, make_pod: MakePod, tmp_path: Path) -> None:
    """It says that the log cannot be retrieved; only when it says so for long is the rest given up."""
    logs.failures = 3
    lines = follow(logs, ManualClock(), make_pod, tmp_path, pods=1)

    line = next(lines)
    logs.over.set()
    assert [(found.text, found.gap) for found in (line, *lines)] == [("hello", False)]


def test_a_log_that_is_cut_again_and_again_comes_whole(speaker: Speaker, make_pod: MakePod) -> None:
    """In the middle of a chunk and between two: each line once, in order, and no gap."""
    cuts = [0, len(WHOLE) // 3, len(WHOLE) // 3 + 1, WHOLE.index(b"line 5"), len(WHOLE) - 1, len(WHOLE)]
    speaker.answers = [*((CHUNKED + WHOLE[:cut],) for cut in cuts), (CHUNKED, WHOLE, b"0\r\n\r\n")]
    before = speaker.answered

    def look(_: bool) -> list[tuple[Source, PodView]]:  # noqa: FBT001  # as Follower calls it
        pod = pod_view(make_pod(ended(0) if over() else RUNNING, name="p"))
        return [(Source("ns", pod.name, pod.uid, 0, 0), pod)]

    def over() -> bool:
        return speaker.answered - before > len(cuts)

    lines = list(Follower(speaker.api, ManualClock(), LogQuery(follow=True, ended=over), look).lines())
    assert [line.text for line in lines] == [f"line {i}" for i in range(len(LINES))]
    assert not any(line.gap for line in lines)
