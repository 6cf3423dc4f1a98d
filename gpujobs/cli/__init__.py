"""The command line. ``main`` is the entry point; each verb lives in a module that is imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpujobs.client import Client

__all__ = ["main"]


def main(argv: Sequence[str] | None = None, *, client_factory: Callable[[], Client] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        argv: The words after ``gpujobs``; by default those of this process.
        client_factory: Makes the client on first use, for tests and for tools that embed the command line.
    """
    from gpujobs.cli._app import App, run_app  # noqa: PLC0415  # importing the package costs nothing

    return run_app(App(client_factory), argv)
