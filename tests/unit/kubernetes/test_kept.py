"""What the watches tell and direct questions find, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs_kubernetes._kept import Kept
from gpujobs_kubernetes._lookup import Found
from gpujobs_kubernetes._names import Place
from gpujobs_kubernetes._views import job_view, pod_view

from .test_states import RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.kubernetes.conftest import MakeJob, MakePod

PLACE = Place("ns", "job", "j")


@pytest.fixture
def kept() -> Kept:
    """Somebody waits for the place, and nothing is known of it yet."""
    made = Kept()
    made.wanted[PLACE] = 0.0
    return made


def live(_: Place) -> bool:
    """The watches run."""
    return True


def phases(kept: Kept) -> dict[str, str]:
    """What is known of each pod."""
    return {pod.name: pod.phase for pod in kept.found([PLACE]).pods_of(PLACE)}


def test_news_during_a_question_do_not_spoil_the_answer(kept: Kept, make_job: MakeJob, make_pod: MakePod) -> None:
    """The answer and what the watch told since then are put together, the newer of each object."""
    before = kept.began(live)
    newer = make_pod(RUNNING, name="a")
    newer["metadata"]["resourceVersion"] = "8"
    kept.take_pod(PLACE, newer, gone=False)
    kept.take_pod(PLACE, make_pod(RUNNING, name="b"), gone=False)
    answer = Found(jobs={PLACE: job_view(make_job())}, pods={PLACE: [pod_view(make_pod(name="a"))]})
    kept.learn(answer, before, live)

    assert phases(kept) == {"a": "Running", "b": "Running"}


def test_a_pod_deleted_during_a_question_stays_deleted(kept: Kept, make_job: MakeJob, make_pod: MakePod) -> None:
    """The answer that still shows it came too late."""
    before = kept.began(live)
    kept.take_pod(PLACE, make_pod(name="a"), gone=True)
    answer = Found(jobs={PLACE: job_view(make_job())}, pods={PLACE: [pod_view(make_pod(name="a"))]})
    kept.learn(answer, before, live)

    assert PLACE in kept.found([PLACE]).jobs
    assert phases(kept) == {}


def test_an_answer_from_before_a_drop_is_not_kept(kept: Kept, make_job: MakeJob) -> None:
    """Something was done to the job, or its watch broke: only a question asked after that counts."""
    before = kept.began(live)
    kept.drop(PLACE)
    kept.learn(Found(jobs={PLACE: job_view(make_job())}), before, live)
    assert not kept.found([PLACE]).jobs

    kept.learn(Found(jobs={PLACE: job_view(make_job())}), kept.began(live), live)
    assert kept.found([PLACE]).jobs


def test_every_change_has_a_number_of_its_own(kept: Kept, make_job: MakeJob, make_pod: MakePod) -> None:
    """What was made from former views is told from what would be made now, even after the place was forgotten."""
    numbers = [kept.serial(PLACE)]
    changes: tuple[Callable[[], object], ...] = (
        lambda: kept.take_pod(PLACE, make_pod(name="a"), gone=False),
        lambda: kept.take_object(PLACE, make_job()),
        lambda: kept.learn(Found(jobs={PLACE: job_view(make_job())}), kept.began(live), live),
        lambda: kept.tidy(since=1.0),
        lambda: kept.take_object(PLACE, make_job()),
    )
    for change in changes:
        change()
        numbers.append(kept.serial(PLACE))

    assert len(set(numbers)) == len(numbers) - 1  # forgotten, it is as unknown as at first
    assert numbers[-1] == max(numbers)
