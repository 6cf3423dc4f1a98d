"""Names: any key and any name becomes something legal, and is found again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpujobs.refs import Ref
from gpujobs.specs import GpuJob
from gpujobs_kubernetes import _names

if TYPE_CHECKING:
    from tests.unit.kubernetes.conftest import Submit

TEXT = st.text(min_size=1, max_size=256).filter(lambda t: "\0" not in t)


@given(TEXT)
def test_every_key_becomes_the_name_of_a_job(key: str) -> None:
    """A DNS label that leaves room for an index and a pod's suffix."""
    name = _names.job_name(key)

    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name)
    assert len(name) <= 57
    assert _names.job_name(key) == name


@given(TEXT, TEXT)
def test_two_keys_have_two_names(one: str, other: str) -> None:
    """Also where they differ in what a name cannot hold."""
    assert (_names.job_name(one) == _names.job_name(other)) == (one == other)


@given(TEXT)
def test_every_service_name_becomes_legal(name: str) -> None:
    """A DNS-1035 label, for a Service is called so."""
    found = _names.service_name(name)

    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", found)
    assert len(found) <= 54


def test_a_legal_service_name_stays() -> None:
    """People find their Deployment under its name."""
    assert _names.service_name("vllm-cluster") == "vllm-cluster"
    assert _names.service_name("Vllm") != "vllm"


@pytest.mark.parametrize(
    ("ref", "place"),
    [
        ("ns/job/x", _names.Place("ns", "job", "x")),
        ("ns/job/x/7", _names.Place("ns", "job", "x", 7)),
        ("ns/service/x", _names.Place("ns", "service", "x")),
        ("ns/service/x/7", None),
        ("ns/pod/x", None),
        ("x", None),
        ("NS/job/x", None),
        ("ns/job/x%2F..", None),
        ("ns/job/..", None),
    ],
)
def test_a_ref_leads_to_one_object_or_to_none(ref: str, place: _names.Place | None) -> None:
    """Nothing in a ref can reach another path of the API."""
    assert _names.place_of(Ref("kubernetes", "k", ref)) == place
    if place is not None:
        assert _names.ref_to("kubernetes", "k", place).id == ref


def test_labels_are_kept_whole_and_the_legal_ones_are_labels_too(submit: Submit) -> None:
    """What Kubernetes does not take as a label is in the annotation alone; ours cannot be overwritten."""
    labels = {"team": "ml", "Ünïcode": "x", "free text": "a b", "gpujobs/id": "other", "job-name": "other"}
    meta = _names.metadata(submit(GpuJob(command=["true"], name="a / b", labels=labels)), "ns")

    assert meta["labels"]["team"] == "ml"
    assert meta["labels"]["gpujobs/id"] == meta["name"]
    assert set(meta["labels"]) & {"Ünïcode", "free text", "job-name"} == set()
    assert meta["annotations"]["gpujobs/name"] == "a / b"
    assert '"free text": "a b"' in meta["annotations"]["gpujobs/labels"]
