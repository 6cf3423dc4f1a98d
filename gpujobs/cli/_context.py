"""What the verbs share while one command line runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpujobs.client import Client


def _default_client() -> Client:
    from gpujobs.client import Client  # noqa: PLC0415  # `--help` needs no client

    return Client()


class App:
    """The state of one command line.

    Attributes:
        verb: The verb that runs, once it is known.
        debug: Whether errors come with a traceback.
    """

    def __init__(self, client_factory: Callable[[], Client] | None = None) -> None:
        self._factory = client_factory or _default_client
        self._client: Client | None = None
        self.verb: str | None = None
        self.debug = False

    @property
    def client(self) -> Client:
        """The client, made on first use."""
        if self._client is None:
            self._client = self._factory()
        return self._client

    def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            self._client.close()
