"""What is made by the ten thousand is made quickly, and is what it would have been."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from gpujobs import LogLine, Ref, State, Status
from gpujobs._quick import quick_init, quick_many

REF = Ref("slurm", "lab", "1")
MADE = [REF, Status(REF, State.RUNNING, name="n", labels={"a": "b"}), LogLine("text", b"text\n", attempt=1)]


@quick_init
@dataclass(frozen=True, slots=True)
class Point:
    """One with a default of either kind."""

    x: int
    y: int = 2
    names: list[str] = field(default_factory=list[str])


@pytest.mark.parametrize("value", MADE, ids=lambda v: type(v).__name__)
def test_a_value_is_frozen_and_can_be_copied(value: Any) -> None:
    """It compares, copies, pickles and is replaced as any frozen dataclass."""
    for again in (copy.deepcopy(value), pickle.loads(pickle.dumps(value)), replace(value)):  # noqa: S301  # our own
        assert again == value
        assert type(again) is type(value)
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, "other")
    assert not hasattr(value, "__dict__")


def test_defaults_are_each_instances_own() -> None:
    """A default factory is called for each."""
    one, other = Point(1), Point(1)
    one.names.append("a")

    assert (asdict(one), other.names) == ({"x": 1, "y": 2, "names": ["a"]}, [])


def test_a_wrong_argument_is_refused() -> None:
    """With the words of Python."""
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        Point(1, z=3)  # type: ignore[call-arg]


def test_its_signature_is_shown() -> None:
    """As ``help`` and notebooks show it."""
    assert list(inspect.signature(Point).parameters) == ["x", "y", "names"]


def test_a_subclass_is_of_its_own_class() -> None:
    """Somebody may add fields to what we made."""

    @dataclass(frozen=True)
    class Place(Point):
        name: str = ""

    assert repr(Place(1, name="here")).endswith("Place(x=1, y=2, names=[], name='here')")
    assert type(type("Plain", (Point,), {})(1)).__name__ == "Plain"


def test_many_are_what_each_would_have_been() -> None:
    """As equal, as frozen and of the same class; None stays None."""
    made = quick_many(Point, [(1, 2, ["a"]), None, (3, 4, [])])

    assert made == [Point(1, 2, ["a"]), None, Point(3, 4, [])]
    assert type(made[0]) is Point
    with pytest.raises(FrozenInstanceError):
        made[0].x = 5  # type: ignore[misc]
