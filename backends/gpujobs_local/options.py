"""What ``[targets.NAME]`` of a local target may set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gpujobs.options import Count, NonNegative, Options, Text
from gpujobs.units import Memory
from gpujobs_local._settings import Settings


class LocalOptions(Options):
    """The keys of a local target.

    Attributes:
        gpus: Pretend to have so many GPUs instead of looking for real ones (a laptop, CI).
        gpu_type: The type of the pretended GPUs; ``gpu_memory``: the memory of each, in bytes.
        shares: How many jobs with ``sharing="time-slice"``, or how many shards, fit on one GPU.
        busy_gpus: ``wait`` leaves a GPU alone while a process that gpujobs did not start computes on it; ``share``
            hands it out all the same.
        lock_dir: Where the locks of real GPUs lie, the same for all users of the machine; by default ``gpujobs`` in
            ``/run/lock``, or in ``/tmp`` where that is missing.
    """

    gpus: Annotated[NonNegative, Field(le=1024)] | None = None
    gpu_type: Text = "simulated"
    gpu_memory: Memory | None = None
    shares: Count = 4
    busy_gpus: Literal["wait", "share"] = "wait"
    lock_dir: Annotated[Path | None, Field()] = None

    def settings(self) -> Settings:
        """The same as a plain value, for processes that load no pydantic."""
        return Settings(
            simulated=self.gpus,
            gpu_type=self.gpu_type,
            gpu_memory=self.gpu_memory,
            shares=self.shares,
            wait_for_busy=self.busy_gpus == "wait",
            lock_dir=str(self.lock_dir) if self.lock_dir else None,
        )
