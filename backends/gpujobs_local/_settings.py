"""A target's options as a plain value that supervisors read back from the record file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """See ``options.LocalOptions``; ``simulated`` is its ``gpus``."""

    simulated: int | None = None
    gpu_type: str = "simulated"
    gpu_memory: int | None = None
    shares: int = 4
    wait_for_busy: bool = True
    lock_dir: str | None = None

    def dump(self) -> str:
        """As text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def load(cls, text: str) -> Settings:
        """From what ``dump`` gave."""
        return cls(**json.loads(text))
