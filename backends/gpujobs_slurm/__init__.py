"""The Slurm backend of gpujobs: batch jobs on a cluster, reached by its own commands, here or over ssh."""

from gpujobs_slurm._backend import SlurmBackend

__all__ = ["SlurmBackend"]
