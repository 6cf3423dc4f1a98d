r"""For tests: an in-memory backend with a clock of your own, and the contract that every backend passes.

Your own code against the in-memory backend, without any cluster::

    from gpujobs import Client
    from gpujobs.testing import ManualClock, MemoryBackend, Outcome

    backend = MemoryBackend.create(outcome=lambda item: Outcome(exit_code=0, output=b"hello\n", seconds=5))
    client = Client(backends={"memory": backend}, clock=backend.clock, state_dir=tmp_path)
    assert client.submit(["anything"]).wait().succeeded     # five seconds of the manual clock, none of yours

A backend of your own against the contract: subclass :class:`BackendContract`, which needs pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.testing.clock import ManualClock
from gpujobs.testing.memory import MemoryBackend, MemoryOptions, Outcome

if TYPE_CHECKING:
    from gpujobs.testing.contract import BackendContract, CoreContract

__all__ = ["BackendContract", "CoreContract", "ManualClock", "MemoryBackend", "MemoryOptions", "Outcome"]


def __getattr__(name: str) -> object:
    """The contract is imported when it is asked for: the rest works without pytest."""
    if name in {"BackendContract", "CoreContract"}:
        from gpujobs.testing import contract  # noqa: PLC0415  # see above

        return getattr(contract, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
