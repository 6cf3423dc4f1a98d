"""Pages of a LIST, read object by object, the next one on its way meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpujobs.errors import UnavailableError
from gpujobs_kubernetes._paging import Page

from .test_edge import Server, api, clock, server, told

if TYPE_CHECKING:
    from gpujobs_kubernetes._api import Api

__all__ = ["api", "clock", "server"]  # fixtures

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=6)
FIELDS = st.permutations(["kind", "metadata", "items", "extra"])


@given(objects=OBJECTS, order=FIELDS, extra=VALUES, token=st.text(max_size=5), indent=st.sampled_from([None, 1]))
def test_objects_come_as_they_were_written(
    objects: list[Any], order: list[str], extra: Any, token: str, indent: int | None
) -> None:
    """Whatever is in them, in whatever order the fields come, with blanks and without."""
    fields = {"kind": "PodList", "metadata": {"continue": token}, "items": objects, "extra": extra}
    text = json.dumps({name: fields[name] for name in order}, indent=indent)
    page = Page(text.encode())

    assert list(page.items()) == objects
    assert page.more == token


@pytest.mark.parametrize(
    "text", ['{"metadata":{"continue":"t"},"items":[', '{"items":null,"metadata":{"continue":"t"}}']
)
def test_the_token_of_the_next_page_is_known_at_once(text: str) -> None:
    """Before an object is decoded; Go writes an empty list as null."""
    assert Page(text.encode()).more == "t"
    assert list(Page(b'{"items":null,"metadata":null}').items()) == []
    assert list(Page(b"{}").items()) == []


WHOLE = json.dumps({"metadata": {"continue": "t"}, "items": [{"a": 1}, {"b": [2]}]}).encode()


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_half_a_page_is_an_error(end: int) -> None:
    """Never a shorter list."""
    with pytest.raises(ValueError, match=r"^(Expecting|Unterminated)"):
        list(Page(WHOLE[:end]).items())


def page(first: int, more: str = "") -> dict[str, Any]:
    """A page of two numbers."""
    return {"metadata": {"continue": more}, "items": [{"n": first}, {"n": first + 1}]}


def test_the_next_page_is_asked_for_while_one_is_read(api: Api, server: Server) -> None:
    """One ahead, no more; each once."""
    server.answers = [(200, {}, page(0, "t")), (200, {}, page(2, "u")), (200, {}, page(4))]
    items = api.items("/x")

    assert [next(items)["n"], next(items)["n"]] == [0, 1]
    assert [next(items)["n"]] == [2]
    assert len(server.asked) <= 3
    assert [item["n"] for item in items] == [3, 4, 5]
    assert [where for _, where, _ in server.asked] == [
        f"/x?limit=500{more}" for more in ("", "&continue=t", "&continue=u")
    ]


def test_a_page_that_fails_is_an_error_after_the_one_before(api: Api, server: Server) -> None:
    """The list is not taken for whole."""
    server.answers = [(200, {}, page(0, "t")), (503, {}, told("x"))]
    items = api.items("/x", patient=False)

    assert [next(items)["n"], next(items)["n"]] == [0, 1]
    with pytest.raises(UnavailableError):
        next(items)
