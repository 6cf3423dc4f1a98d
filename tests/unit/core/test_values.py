"""Refs, states, reasons, log lines, errors: the plain values."""

from __future__ import annotations

import json
import tracemalloc
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpujobs import Cause, JobFailedError, LogLine, MissingExtraError, Reason, Ref, SpecError, State, Status
from gpujobs import errors as errors_module
from gpujobs.backend import split_exit
from gpujobs.states import rfc3339
from gpujobs.units import format_duration, format_memory, parse_duration, parse_memory

REF = Ref("slurm", "lab", "1234_7")


@given(
    st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,30}", fullmatch=True),
)
def test_a_ref_prints_and_parses_back(backend: str, target: str, ident: str) -> None:
    """``str`` and ``parse`` are inverse."""
    ref = Ref(backend, target, ident)
    assert Ref.parse(str(ref)) == ref


@pytest.mark.parametrize(
    "text", ["", "1234", "slurm://", "slurm://lab", "slurm://lab/", "://lab/1", "slurm://l b/1", "SLURM://lab/1"]
)
def test_what_is_no_ref_is_refused(text: str) -> None:
    """The error shows what a ref looks like."""
    with pytest.raises(SpecError) as caught:
        Ref.parse(text)
    assert "BACKEND://TARGET/ID" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("slurm://lab/1", "job"),
        ("local://local/service/vllm", "service"),
        ("kubernetes://p/ns/job/service/7", "job"),
        ("kubernetes://p/service/job/x", "job"),
        ("kubernetes://p/ns/service/vllm", "service"),
    ],
)
def test_a_ref_knows_its_kind(text: str, kind: str) -> None:
    """Without asking anybody."""
    assert Ref.parse(text).kind == kind


def test_only_four_states_are_final() -> None:
    """UNKNOWN is never an end."""
    assert {s for s in State if s.final} == {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.LOST}


def test_a_status_has_the_public_json_shape() -> None:
    """Every field of the design, times as RFC 3339 in UTC."""
    east = timezone(timedelta(hours=2))
    status = Status(
        REF,
        State.FAILED,
        reason=Cause(Reason.OOM, "Too little memory.", "Ask for more."),
        signal=9,
        ended_at=datetime(2026, 1, 31, 14, 0, tzinfo=east),
    )
    public = json.loads(json.dumps(status.to_dict()))

    assert public["reason"] == {"code": "oom", "message": "Too little memory.", "next": "Ask for more."}
    assert public["ended_at"] == "2026-01-31T12:00:00Z"
    assert (public["exit_code"], public["signal"], public["final"]) == (None, 9, True)
    assert public["replicas"] == {"wanted": 1, "ready": 0, "running": 0, "succeeded": 0, "failed": 0}
    assert Status(REF, State.RUNNING).to_dict()["reason"] is None


def test_a_bad_end_is_raised_with_its_status() -> None:
    """A good one is returned."""
    good = Status(REF, State.SUCCEEDED)
    assert good.raise_for_state() is good
    for state in (State.FAILED, State.CANCELLED, State.LOST):
        with pytest.raises(JobFailedError) as caught:
            Status(REF, state).raise_for_state()
        assert caught.value.status.state is state


def test_ten_thousand_statuses_are_cheap() -> None:
    """Under 6 MB, so that a big queue fits the memory budget."""
    tracemalloc.start()
    statuses = [Status(Ref("slurm", "lab", str(i)), State.RUNNING) for i in range(10_000)]
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(statuses) == 10_000
    assert used < 6_000_000


@pytest.mark.parametrize(
    ("raw", "text"), [(b"a\n", "a"), (b"a\r\n", "a"), (b"10%\r", "10%"), (b"a", "a"), (b"\xff\n", "\ufffd"), (b"", "")]
)
def test_a_line_keeps_its_bytes(raw: bytes, text: str) -> None:
    """``text`` is for people, ``raw`` is the truth."""
    line = LogLine.of(raw, replica=2)
    assert (line.text, line.raw, line.replica, line.gap) == (text, raw, 2, False)


@pytest.mark.parametrize(
    ("code", "split"), [(0, (0, None)), (128, (128, None)), (137, (None, 9)), (192, (None, 64)), (193, (193, None))]
)
def test_shell_codes_above_128_are_signals(code: int, split: tuple[int | None, int | None]) -> None:
    """On every backend alike."""
    assert split_exit(code) == split


@given(st.integers(1, 2**60))
def test_memory_is_formatted_exactly(amount: int) -> None:
    """What is printed reads back the same."""
    assert parse_memory(format_memory(amount)) == amount


@given(st.timedeltas(timedelta(microseconds=1), timedelta(days=3000)))
def test_durations_are_formatted_exactly(span: timedelta) -> None:
    """What is printed reads back the same."""
    assert parse_duration(format_duration(span)) == span


def test_times_in_utc_only() -> None:
    """None stays None."""
    assert rfc3339(None) is None


def test_every_error_is_one_of_ours_and_natural() -> None:
    """One root; subclasses also are what a Python programmer would catch."""
    classes = [c for c in vars(errors_module).values() if isinstance(c, type) and issubclass(c, Exception)]
    assert all(issubclass(c, errors_module.GpuJobsError) for c in classes)
    assert issubclass(errors_module.WaitTimeoutError, TimeoutError)
    assert issubclass(errors_module.UnavailableError, ConnectionError)
    tree = errors_module.__doc__ or ""
    assert [c.__name__ for c in classes if c.__name__ not in tree] == []


def test_a_missing_extra_says_the_install_line() -> None:
    """Word for word."""
    assert str(MissingExtraError("kubernetes", "kubernetes")).endswith("pip install 'gpujobs[kubernetes]'")
