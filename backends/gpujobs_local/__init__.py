"""The local backend: supervised processes on this machine, each GPU handed out to one holder at a time.

The supervisor of a job imports from this package too, so importing it loads nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpujobs_local.backend import LocalBackend
    from gpujobs_local.options import LocalOptions

_HOME = {"LocalBackend": "backend", "LocalOptions": "options"}

__all__ = ["LocalBackend", "LocalOptions"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'gpujobs_local' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"gpujobs_local.{_HOME[name]}"), name)
    globals()[name] = value
    return value
