"""An example backend: every job is a child of this process, and is known as long as the process lives."""

from gpujobs_inline.backend import InlineBackend, InlineOptions

__all__ = ["InlineBackend", "InlineOptions"]
