"""The keys of a Slurm target in the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from gpujobs.options import Options, Text

CONTAINERS = ("pyxis", "apptainer", "singularity")


class SlurmOptions(Options):
    """``[targets.NAME]`` of a Slurm cluster.

    Attributes:
        transport: ``cli`` runs Slurm's commands here, ``ssh`` on the login node ``host``.
        host: The login node, as ``ssh`` knows it (``USER@HOST`` or a name of ``~/.ssh/config``).
        ssh_options: More words for ``ssh``, such as ``["-p", "2222"]``.
        python: The Python (3.6 or newer) of the login node.
        job_dir: Where job directories are kept, on a file system that the nodes share; ``~`` is the home there.
        cluster: The name under ``job_dir``; by default Slurm's own ClusterName.
        container: What runs images; found out where not given.
        timeout: Seconds after which a Slurm command is given up.
    """

    transport: Text = "cli"
    host: Text | None = None
    ssh_options: tuple[Text, ...] = ()
    python: Text = "python3"
    job_dir: Text = "~/.gpujobs/jobs"
    cluster: Text | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    container: Literal["pyxis", "apptainer", "singularity", "none"] | None = None
    timeout: float = Field(default=60.0, gt=0)

    @field_validator("transport")
    @classmethod
    def _known(cls, value: str) -> str:
        if value in {"rest", "pyslurm"}:
            raise ValueError(f"transport {value!r} is not there yet: use 'cli' or 'ssh'")
        if value not in {"cli", "ssh"}:
            raise ValueError(f"transport {value!r} is unknown: use 'cli' or 'ssh'")
        return value

    @model_validator(mode="after")
    def _check(self) -> SlurmOptions:
        if (self.transport == "ssh") != (self.host is not None):
            raise ValueError("transport 'ssh' needs a host, and only it takes one")
        if self.host is not None and (self.host.startswith("-") or not self.host.strip()):
            raise ValueError(f"host {self.host!r} is no name of a host")
        if not self.job_dir.startswith(("/", "~/")):
            raise ValueError(f"job_dir {self.job_dir!r} must be absolute, or start with '~/'")
        return self
