"""Proofs that a cluster works, each with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One proof.

    Attributes:
        title: What was proved, or not.
        ok: Whether it was.
        detail: What was seen.
        evidence: The end of the logs that matter, where it was not.
    """

    title: str
    ok: bool
    detail: str = ""
    evidence: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON object for programs."""
        return {"title": self.title, "ok": self.ok, "detail": self.detail, "evidence": self.evidence}
