"""The Kubernetes backend of gpujobs. Importing it does not import the ``kubernetes`` package."""

from gpujobs_kubernetes._backend import KubernetesBackend
from gpujobs_kubernetes._options import KubernetesOptions
from gpujobs_kubernetes._rbac import manifests as role_manifests

__all__ = ["KubernetesBackend", "KubernetesOptions", "role_manifests"]
