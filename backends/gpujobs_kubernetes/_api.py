"""The edge to the API server: requests with plain dicts over one pool, errors translated, nothing hidden.

The official client gives the configuration and the pool; its generated classes would cost a second to import.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from gpujobs.backend import retrying
from gpujobs.errors import GpuJobsError
from gpujobs_kubernetes._connect import Connection, connect
from gpujobs_kubernetes._errors import from_network, from_reply
from gpujobs_kubernetes._paging import Page

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from gpujobs.backend import Clock
    from gpujobs_kubernetes._options import KubernetesOptions

JSON = "application/json"
YAML = "application/yaml"
MERGE = "application/merge-patch+json"
PAGE = 500
_ERROR = 400
_PIECE = 1 << 16
"""More is not read at once, however large a chunk is."""
Table = dict[str, Any]
Query = dict[str, str]
_VERBS = {"GET": "read", "POST": "create", "PATCH": "change", "DELETE": "delete", "PUT": "replace"}


def path(collection: str, namespace: str | None = None, name: str | None = None, sub: str | None = None) -> str:
    """A URL path: ``path("batch/v1/jobs", "ml", "x")`` is ``/apis/batch/v1/namespaces/ml/jobs/x``."""
    group, _, kind = collection.rpartition("/")
    parts = ["/api" if "/" not in group else "/apis", group]
    parts += ["namespaces", quote(namespace)] if namespace is not None else []
    parts += [kind] + ([quote(name)] if name is not None else []) + ([sub] if sub else [])
    return "/".join(parts)


JOBS = "batch/v1/jobs"
PODS = "v1/pods"
DEPLOYMENTS = "apps/v1/deployments"
SERVICES = "v1/services"
CONFIG_MAPS = "v1/configmaps"
SECRETS = "v1/secrets"
EVENTS = "v1/events"
NODES = "v1/nodes"
COLLECTIONS = {
    "Job": JOBS,
    "Deployment": DEPLOYMENTS,
    "Service": SERVICES,
    "ConfigMap": CONFIG_MAPS,
    "Secret": SECRETS,
    "Pod": PODS,
}


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked of the API server."""

    method: str
    where: str
    query: Mapping[str, str] | None = None
    body: bytes | None = None
    content: str | None = None
    read_timeout: float | None = None


class Api:
    """One API server. Thread-safe; usable after a fork; connects on first use."""

    def __init__(self, options: KubernetesOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._pid = os.getpid()

    @property
    def connection(self) -> Connection:
        """The configured connection.

        Raises:
            ConfigError: There is no usable configuration. MissingExtraError: The client is not installed.
        """
        with self._lock:
            if self._connection is None or self._pid != os.getpid():
                self._connection, self._pid = connect(self._options), os.getpid()
            return self._connection

    @property
    def namespace(self) -> str:
        """The namespace that workloads go to."""
        return self.connection.namespace

    def close(self) -> None:
        """Let go of all connections."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.pool.clear()
            self._connection = None

    def get(self, where: str, query: Query | None = None, *, patient: bool = True) -> Table:
        """GET; tried again while the server cannot answer, unless not ``patient``.

        Raises:
            NotFoundError: There is no such object.
        """
        return self._json(_Request("GET", where, query), patient=patient)

    def post(self, where: str, body: str | Table, *, query: Query | None = None) -> Table:
        """POST, once: whoever asks decides what a lost reply means.

        Raises:
            AlreadyExistsError: An object of that name is there.
        """
        if isinstance(body, str):
            return self._json(_Request("POST", where, query, body.encode(), YAML))
        return self._json(_Request("POST", where, query, json.dumps(body).encode(), JSON))

    def patch(self, where: str, body: Table) -> Table:
        """Merge patch; one that carries no resourceVersion may be repeated, and is.

        Raises:
            ModifiedError: The object changed since the resourceVersion in the patch.
        """
        again = "resourceVersion" not in body.get("metadata", {})
        return self._json(_Request("PATCH", where, None, json.dumps(body).encode(), MERGE), patient=again)

    def put(self, where: str, body: Table) -> Table:
        """Replace an object; the resourceVersion in it keeps others' changes from being lost.

        Raises:
            ModifiedError: The object changed since.
        """
        return self._json(_Request("PUT", where, None, json.dumps(body).encode(), JSON))

    def delete(self, where: str, body: Table | None = None) -> Table:
        """DELETE; an object that is gone already is a NotFoundError."""
        return self._json(_Request("DELETE", where, None, json.dumps(body or {}).encode(), JSON), patient=True)

    def items(self, where: str, query: Query | None = None, *, patient: bool = True) -> Iterator[Table]:
        """The objects of a LIST, one by one; while those of a page are read, the server makes the next one."""

        def page(more: str) -> Page:
            asked = {"limit": str(PAGE), **(query or {}), **({"continue": more} if more else {})}
            return Page(self._data(_Request("GET", where, asked), patient=patient))

        with ThreadPoolExecutor(1, thread_name_prefix="gpujobs-page") as beside:
            this = page("")
            while True:
                ahead = beside.submit(page, this.more) if this.more else None
                yield from this.items()
                if ahead is None and not this.more:
                    return
                this = ahead.result() if ahead is not None else page(this.more)

    def list(self, where: str, query: Query | None = None, *, patient: bool = True) -> list[Table]:
        """All objects of a LIST."""
        return [*self.items(where, query, patient=patient)]

    @contextlib.contextmanager
    def stream(self, where: str, query: Query, *, read_timeout: float) -> Generator[Any]:
        """A reply that is read as it comes, by ``pieces``: urllib3's response."""
        response = self._open(_Request("GET", where, query, read_timeout=read_timeout))
        try:
            yield response
        finally:
            response.close()

    def pieces(self, response: Any) -> Iterator[bytes]:
        """What a stream sends, piece by piece, each as soon as it is there.

        A line of a log and an event of a watch are a chunk each, and ``read_chunked`` takes half the time of ``read1``
        for one. A connection that is cut is an error, in the middle of a chunk or between two.

        Raises:
            UnavailableError: The connection was cut, or was silent for too long.
        """
        with self.translating():
            if response.chunked:
                yield from response.read_chunked(_PIECE)
                return
            while data := response.read1(_PIECE):
                yield data

    @contextlib.contextmanager
    def translating(self) -> Generator[None]:
        """Errors of the network, as one of ours."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415  # comes with the client

        try:
            yield
        except GpuJobsError:
            raise
        except (HTTPError, OSError) as e:
            connection = self.connection
            raise from_network(e, host=connection.host, who=connection.who) from e

    def _json(self, asked: _Request, *, patient: bool = False) -> Table:
        data = self._data(asked, patient=patient)
        found: Table = json.loads(data) if data else {}
        return found

    def _data(self, asked: _Request, *, patient: bool) -> bytes:
        def once() -> bytes:
            response = self._open(asked)
            with self.translating():
                data: bytes = response.read()
                response.release_conn()
            return data

        return retrying(once, self._clock) if patient else once()

    def _open(self, asked: _Request) -> Any:
        """Send; a 401 is tried once more with a fresh configuration: tokens and certificates are replaced in place."""
        connection = self.connection
        response = self._send(connection, asked)
        if response.status == 401:  # noqa: PLR2004  # HTTP's own number
            self._drain(response)
            with self._lock:
                if self._connection is connection:
                    self._connection = None
            connection = self.connection
            response = self._send(connection, asked)
        if response.status < _ERROR:
            return response
        with self.translating():
            data = response.read()
            response.release_conn()
        what = f"{_VERBS[asked.method]} {asked.where}"
        raise from_reply(
            response.status, data, response.headers, what=what, host=connection.host, who=connection.who
        ) from None

    def _send(self, connection: Connection, asked: _Request) -> Any:
        from urllib3 import Timeout  # noqa: PLC0415  # comes with the client

        headers = connection.headers()
        if asked.read_timeout is not None:
            headers["Connection"] = "close"  # a stream's own: hundreds of them must not stay open when they have ended
        if asked.content is not None:
            headers["Content-Type"] = asked.content
        url = f"{connection.host}{asked.where}" + (f"?{urlencode(asked.query)}" if asked.query else "")
        with self.translating():
            return connection.pool.request(
                asked.method,
                url,
                body=asked.body,
                headers=headers,
                preload_content=False,
                retries=False,
                timeout=Timeout(connect=self._options.timeout, read=asked.read_timeout or self._options.timeout),
            )

    def _drain(self, response: Any) -> None:
        with contextlib.suppress(GpuJobsError), self.translating():
            response.read()
            response.release_conn()


def hang_up(response: Any) -> None:
    """End a read that another thread is blocked in; one that has ended by itself is no error."""
    with contextlib.suppress(ValueError, OSError):
        response.shutdown()
