"""The Kubernetes backend of gpujobs. Importing it does not import the ``kubernetes`` package."""

from gpujobs_kubernetes._backend import KubernetesBackend
from gpujobs_kubernetes._options import KubernetesOptions

__all__ = ["KubernetesBackend", "KubernetesOptions"]
