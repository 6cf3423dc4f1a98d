"""``Ref``: the printable address of a workload, enough to find it from another machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from gpujobs._quick import quick_init
from gpujobs.errors import SpecError

__all__ = ["Ref"]

_REF = re.compile(
    r"(?P<backend>[a-z][a-z0-9_-]*)://(?P<target>[A-Za-z0-9][A-Za-z0-9._-]*)/(?P<id>[^\s/\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*)",
    re.ASCII,
)
_WITH_NAMESPACE = 3


@quick_init
@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """``backend://target/id``.

    The id is the backend's own: ``1234`` and ``1234_7`` on Slurm, ``NAMESPACE/job/NAME`` on Kubernetes.
    A service says so in the id: ``service/NAME``, or ``NAMESPACE/service/NAME``.
    """

    backend: str
    target: str
    id: str

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read what ``str(ref)`` printed.

        Raises:
            SpecError: The text is no ref.
        """
        match = _REF.fullmatch(text)
        if match is None:
            raise SpecError(
                f"{text!r} is not a ref.",
                next_step="A ref reads BACKEND://TARGET/ID, for example slurm://lab/1234; `gpujobs ps` shows them.",
            )
        return cls(match["backend"], match["target"], match["id"])

    @property
    def kind(self) -> Literal["job", "service"]:
        """Whether this is the address of a GpuJob or of a GpuService; nobody is asked."""
        if "/" not in self.id:
            return "job"
        parts = self.id.split("/")
        return "service" if parts[0 if len(parts) < _WITH_NAMESPACE else 1] == "service" else "job"

    def __hash__(self) -> int:
        return hash(self.id)  # a text remembers its hash; a tuple of three would be made and hashed each time

    def __str__(self) -> str:
        return f"{self.backend}://{self.target}/{self.id}"
