"""The errors: one tree, drawn truthfully, that survives the way between processes."""

from __future__ import annotations

import builtins
import pickle
import re

import pytest

from gpujobs import JobFailedError, MissingExtraError, Ref, SpecError, State, Status, SubmitManyError, UnavailableError
from gpujobs import errors as errors_module

DRAWN = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>\w+Error)(?:\s+\(\+ (?P<builtin>\w+)\))?", re.MULTILINE)


def test_the_drawn_tree_is_the_real_one() -> None:
    """Each class stands below its base, with the built-in error that it also is."""
    parents: dict[int, str] = {}
    drawn: list[str] = []
    for match in DRAWN.finditer((errors_module.__doc__ or "").replace("\n    ", "\n")):
        depth = len(match["indent"]) // 4
        cls = getattr(errors_module, match["name"])
        parents[depth] = match["name"]
        drawn.append(match["name"])
        if depth:
            assert cls.__bases__[0].__name__ == parents[depth - 1]
        if match["builtin"]:
            assert issubclass(cls, getattr(builtins, match["builtin"]))
    assert sorted(drawn) == errors_module.__all__


def test_a_message_has_two_lines_at_most() -> None:
    """What is wrong; what to do next, where there is something to do."""
    assert str(SpecError("It is wrong.", next_step="Mend it.")) == "It is wrong.\nMend it."
    assert str(SpecError("It is wrong.")) == "It is wrong."


REF = Ref("slurm", "lab", "1")


@pytest.mark.parametrize(
    "error",
    [
        SpecError("wrong", next_step="mend"),
        UnavailableError("down", key="k", retry_after=3.0),
        JobFailedError(Status(REF, State.FAILED)),
        MissingExtraError("kubernetes", "kubernetes"),
        SubmitManyError([REF, None], [None, SpecError("no")]),
    ],
    ids=lambda e: type(e).__name__,
)
def test_an_error_crosses_processes(error: errors_module.GpuJobsError) -> None:
    """As from a worker of a process pool: the same class, text and fields."""
    other: errors_module.GpuJobsError = pickle.loads(pickle.dumps(error))  # noqa: S301  # what was pickled here

    assert (type(other), str(other)) == (type(error), str(error))
    assert {k: str(v) for k, v in vars(other).items()} == {k: str(v) for k, v in vars(error).items()}
