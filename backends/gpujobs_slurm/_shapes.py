"""Which jobs ask for the same, and so become one array."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from gpujobs.specs import GpuJob, GpuService

_OWN_FIELDS = frozenset(
    {"name", "labels", "command", "args", "script", "env", "inherit_env", "files", "secrets", "setup"}
)
"""What the jobs of a bulk may differ in."""


class Shapes:
    """Numbers what jobs must have in common to become one array.

    Most that come together are like the one before, and comparing the two is less work than finding it in a table.
    """

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._names: AbstractSet[str] = frozenset()
        self._values_of = _getter(frozenset[str]())
        self._last: object = None
        self._number = 0

    def of(self, spec: GpuJob | GpuService) -> int | None:
        """The number of a job's shape; None for one that stays alone."""
        if spec.kind != "job" or spec.array is not None or spec.output is not None:
            return None
        names = spec.model_fields_set
        if names != self._names:
            self._names, self._values_of, self._last = names, _getter(frozenset(names)), None
        common = not spec.command, self._values_of(spec.__dict__)
        if common != self._last:
            self._last, self._number = common, self._find(*common)
        return self._number

    def _find(self, no_command: bool, values: tuple[Any, ...]) -> int:  # noqa: FBT001  # a part of the key
        # A table is told by its text: of two in another order the worst that comes is a second array.
        told = [repr(value) if value.__class__ is dict else value for value in values]
        return self._numbers.setdefault((no_command, frozenset(self._names), *told), len(self._numbers))


@lru_cache(maxsize=1024)
def _getter(names: frozenset[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Gives the values of fields that must be equal; ``kind`` and ``array`` are, and make it a tuple in any case."""
    return itemgetter("kind", "array", *sorted(names - _OWN_FIELDS))
