"""A Kubernetes cluster as a bootstrap sees it: through the kubectl and helm of one machine."""

from __future__ import annotations

from gpujobs.bootstrap.kubernetes.access import Access, choose
from gpujobs.bootstrap.kubernetes.cluster import Cluster

__all__ = ["Access", "Cluster", "choose"]
