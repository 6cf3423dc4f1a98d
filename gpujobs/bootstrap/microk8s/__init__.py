"""microk8s on one machine or several: plan, apply, verify, undo."""

from __future__ import annotations

from gpujobs.bootstrap.microk8s.microk8s import Microk8s
from gpujobs.bootstrap.microk8s.wish import Microk8sWish

__all__ = ["Microk8s", "Microk8sWish"]
