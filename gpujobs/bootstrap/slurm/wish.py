"""What a user wants of a Slurm cluster."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gpujobs._model import Model, NonNegative, Text
from gpujobs.units import Duration, Memory

# Slurm keeps these in file names, in a database and in comma lists.
_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,39}$"
_GPU_TYPE = r"^$|^[a-z0-9][a-z0-9_.]{0,39}$"
_PATH = r"^/[A-Za-z0-9/._-]+$"
_DESTINATION = r"^[A-Za-z0-9_][A-Za-z0-9_.@:%-]*$"


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError(f"a name stands twice in {', '.join(names)}")
    return names


def _not_deletable(path: str) -> str:
    for top in ("/var/lib/slurm", "/run", "/tmp", "/etc/slurm"):  # noqa: S108  # refused, not used
        if path == top or path.startswith(f"{top}/"):
            raise ValueError(
                f"{path} would not last: what is below {top} is deleted by the system or by Slurm's packages"
            )
    return path


def _not_default(name: str) -> str:
    if name.upper() == "DEFAULT":
        raise ValueError(f"{name!r} means something else to Slurm: choose another name for the partition")
    return name


Name = Annotated[Text, Field(pattern=_NAME)]
Partition = Annotated[Text, Field(pattern=_NAME), AfterValidator(_not_default)]
Destination = Annotated[Text, Field(pattern=_DESTINATION)]
Path = Annotated[Text, Field(pattern=_PATH)]


class SlurmWish(Model):
    """A Slurm cluster as a user wants it; what is left out is chosen for the machines found.

    Attributes:
        cluster: Its name.
        controller: The machine that decides: ``localhost`` or an ssh destination.
        nodes: The machines that run jobs, as ssh destinations; none means the controller itself.
        partitions: Their names; the first one is the default, and all hold all nodes.
        gpu_type: What the GPUs are called in ``--gres=gpu:TYPE:1``; None takes it from the driver, "" gives none.
        shards: How many jobs may share one GPU by ``--gres=shard:1``; 0 for no sharing.
        autodetect: ``nvidia`` lets slurmd count the GPUs itself (Slurm 24.11 and newer).
        memory_reserve: What jobs may not have; None leaves 1 GiB, or 8 GiB where GPUs use the system's memory.
        max_time: The longest a job may run; None for no limit.
        accounting: Whether jobs are recorded in a database (MariaDB and slurmdbd).
        rest: Whether slurmrestd answers HTTP with JSON Web Tokens.
        rest_address: Where it listens.
        state_directory: Where slurmctld keeps its jobs; nothing ever empties it.
        source: A directory on every machine with ``.deb`` files, in place of the package server.
        adopt: Whether a Slurm configuration that somebody else wrote may be replaced (it is kept and undo restores it).
        gpus_required: Whether a node without a GPU is refused.
    """

    cluster: Name = "gpujobs"
    controller: Destination = "localhost"
    nodes: Annotated[tuple[Destination, ...], AfterValidator(_distinct)] = ()
    partitions: Annotated[tuple[Partition, ...], AfterValidator(_distinct), Field(min_length=1)] = ("gpu",)
    gpu_type: Annotated[Text, Field(pattern=_GPU_TYPE)] | None = None
    shards: NonNegative = 0
    autodetect: Literal["off", "nvidia"] = "off"
    memory_reserve: Memory | None = None
    max_time: Duration | None = None
    accounting: bool = False
    rest: bool = False
    rest_address: Annotated[Text, Field(pattern=r"^[A-Za-z0-9.:-]+:[0-9]{1,5}$")] = "127.0.0.1:6820"
    state_directory: Annotated[Path, AfterValidator(_not_deletable)] = "/var/spool/slurm/ctld"
    source: Annotated[Text, Field(pattern=r"^$|" + _PATH)] = ""
    adopt: bool = False
    gpus_required: bool = True

    @property
    def workers(self) -> tuple[str, ...]:
        """The machines that run jobs."""
        return self.nodes or (self.controller,)

    @property
    def machines(self) -> tuple[str, ...]:
        """All machines, the controller first."""
        return tuple(dict.fromkeys((self.controller, *self.nodes)))

    @property
    def longest(self) -> str:
        """The time limit as slurm.conf wants it, in whole minutes."""
        if self.max_time is None:
            return "INFINITE"
        return str(-(-self.max_time // timedelta(minutes=1)))
