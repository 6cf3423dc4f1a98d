"""A local port carried to a pod: one WebSocket for each connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from gpujobs.errors import ConfigError, GpuJobsError
from gpujobs_kubernetes._api import PODS, path
from gpujobs_kubernetes._sockets import CLOSE, FORWARD, open_socket, translating

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from gpujobs_kubernetes._api import Api

_CHUNK = 1 << 15
_DATA, _ERROR = 0, 1
_PORT_BYTES = 2


@contextlib.contextmanager
def forward(api: Api, namespace: str, find_pod: Callable[[], str], port: int, local_port: int) -> Generator[int]:
    """Listen on 127.0.0.1 while the context is open; ``find_pod`` is asked for every connection, as pods come and go.

    Raises:
        ConfigError: The local port is taken.
    """
    try:
        listener = socket.create_server(("127.0.0.1", local_port))
    except OSError as e:
        raise ConfigError(
            f"Port {local_port} of this machine cannot be used: {e.strerror}.", next_step="Give another, or 0."
        ) from e
    tunnels: list[_Tunnel] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                tunnel = _Tunnel(api, namespace, find_pod, port, client)
                tunnels.append(tunnel)
                threading.Thread(target=tunnel.run, name="gpujobs-forward", daemon=True).start()

    threading.Thread(target=accept, name="gpujobs-forward-accept", daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for tunnel in tunnels:
            tunnel.close()


class _Tunnel:
    """One connection of a client, and its way to the pod."""

    def __init__(self, api: Api, namespace: str, find_pod: Callable[[], str], port: int, client: socket.socket) -> None:
        self._api = api
        self._namespace = namespace
        self._find_pod = find_pod
        self._port = port
        self._client = client
        self._pod: Any = None

    def run(self) -> None:
        """Carry bytes both ways until one side ends; what cannot be reached is a closed connection."""
        try:
            where = path(PODS, self._namespace, self._find_pod(), "portforward")
            self._pod = open_socket(self._api, where, [("ports", str(self._port))], FORWARD)
            threading.Thread(target=self._upwards, name="gpujobs-forward-up", daemon=True).start()
            with translating("the pod"):
                self._downwards()
        except (GpuJobsError, OSError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """End both sides."""
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)
        self._client.close()
        if self._pod is not None:
            with contextlib.suppress(OSError, AttributeError):
                self._pod.shutdown()

    def _upwards(self) -> None:
        try:
            with translating("the pod"):
                while data := self._client.recv(_CHUNK):
                    self._pod.send_binary(bytes([_DATA]) + data)
        except GpuJobsError:
            self.close()

    def _downwards(self) -> None:
        greeted: set[int] = set()
        while True:
            opcode, frame = self._pod.recv_data()
            if opcode == CLOSE:
                return
            channel, data = frame[0], frame[1:]
            if channel not in greeted:
                # The first message of each channel only repeats the port's number.
                greeted.add(channel)
                data = data[_PORT_BYTES:]
            if channel == _ERROR and data:
                return
            if channel == _DATA and data:
                self._client.sendall(data)
