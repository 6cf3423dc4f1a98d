"""WebSockets to pods: what exec and port-forward run over."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from gpujobs.errors import GpuJobsError, UnavailableError
from gpujobs_kubernetes._connect import official
from gpujobs_kubernetes._errors import from_network, from_reply

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from gpujobs_kubernetes._api import Api

EXEC = "v5.channel.k8s.io,v4.channel.k8s.io"
FORWARD = "v4.channel.k8s.io"
BINARY = 2
CLOSE = 8


def open_socket(api: Api, where: str, query: Sequence[tuple[str, str]], protocols: str) -> Any:
    """A connected WebSocket, as the ``websocket`` package has it.

    Raises:
        NotFoundError: The pod is not there. UnavailableError: No connection.
    """
    # The official client's own function: it knows certificates and proxies. Both come with the extra.
    create_websocket = official("stream.ws_client").create_websocket
    sockets: Any = importlib.import_module("websocket")
    connection = api.connection
    url = f"{connection.host}{where}?{urlencode(query)}".replace("http", "ws", 1)
    headers = {**connection.headers(), "sec-websocket-protocol": protocols}
    try:
        return create_websocket(connection.configuration, url, headers)
    except sockets.WebSocketBadStatusException as e:
        body: bytes = getattr(e, "resp_body", None) or b""
        told: dict[str, str] = getattr(e, "resp_headers", None) or {}
        raise from_reply(
            e.status_code, body, told, what=f"open {where}", host=connection.host, who=connection.who
        ) from e
    except (sockets.WebSocketException, OSError) as e:
        raise from_network(e, host=connection.host, who=connection.who) from e


@contextlib.contextmanager
def translating(what: str) -> Generator[None]:
    """Errors of a connection that is open, as one of ours."""
    sockets: Any = importlib.import_module("websocket")  # comes with the extra
    try:
        yield
    except GpuJobsError:
        raise
    except (sockets.WebSocketException, OSError) as e:
        raise UnavailableError(f"The connection to {what} was cut: {e}.", next_step="Try again.") from e
