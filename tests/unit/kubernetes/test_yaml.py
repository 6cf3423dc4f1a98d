"""The YAML that is sent means what was meant, to any reader."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpujobs_kubernetes._yaml import dump, dump_all

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
TRAPS = [
    "y",
    "no",
    "1_0",
    "0o7",
    "1:30",
    "~",
    "a\nb\n",
    "a\n\n\n",
    "x\n y\n",
    "#c\nb",
    "- a\n- b",
    "a: b\nc",
    "a \nb",
    "\n",
]
VALUE = st.recursive(
    TEXT | st.sampled_from(TRAPS) | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(TEXT, VALUE, min_size=1, max_size=4))
def test_what_is_written_is_read_back(manifest: dict[str, Any]) -> None:
    """Byte for byte, control characters and all."""
    assert yaml.safe_load(dump(manifest)) == manifest


@pytest.mark.parametrize("word", ["y", "n", "on", "1_0", "0o7", "0x1", "1:30:00", "null", "=", "<<"])
def test_no_text_is_bare(word: str) -> None:
    """Readers of other YAML versions take some words for booleans or numbers, so every text is quoted."""
    assert dump({"a": word, word: "x"}).splitlines()[0] == f'a: "{word}"'


def test_several_lines_are_shown_as_lines() -> None:
    """A script is readable."""
    assert dump({"script": "a\n  b\n\nc\n"}) == "script: |\n  a\n    b\n\n  c\n"


def test_keys_keep_their_order_and_documents_are_apart() -> None:
    """The order of the API's own documents."""
    text = dump_all([{"kind": "A", "b": [{"y": 1, "x": [1, [2]]}]}, {"kind": "B"}])

    assert text == 'kind: "A"\nb:\n- "y": 1\n  x:\n  - 1\n  -\n    - 2\n---\nkind: "B"\n'
