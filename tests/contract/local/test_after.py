"""Jobs after others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpujobs import NotFoundError, Reason, State, UnsupportedError

if TYPE_CHECKING:
    from tests.contract.local.conftest import Bench


def test_a_chain_falls_when_its_first_job_fails(bench: Bench) -> None:
    """Each names the one before it."""
    first = bench.submit("sleep 0.3; exit 1")
    second = bench.submit("true", after=[first])
    third = bench.submit("true", after=[second])

    for job, upstream in ((second, first), (third, second)):
        status = job.wait(timeout=60)
        assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.DEPENDENCY)
        assert f"after {upstream.ref.id} ended well, and that did not" in str(status.reason)
        assert status.started_at is None


def test_after_several_waits_for_all(bench: Bench) -> None:
    """It starts when the last of them has ended, and says which it waits for."""
    quick = bench.submit("true")
    slow, gate = bench.gated("date +%s.%N")
    job = bench.submit("date +%s.%N", after=[quick, slow])
    quick.wait(timeout=60)

    status = job.status()
    assert (status.reason and status.reason.code) == Reason.DEPENDENCY
    assert slow.ref.id in str(status.reason)
    gate.touch()
    assert job.wait(timeout=60).succeeded
    assert bench.text(job) > bench.text(slow)


def test_after_an_array_waits_for_every_element(bench: Bench) -> None:
    """One bad element is no good end of the array; an element can be waited for alone."""
    array = bench.submit("test $GPUJOBS_ARRAY_INDEX != 1", array=3)
    whole = bench.submit("true", after=[array])
    good = bench.submit("true", after=[f"{array.ref}_2"])
    bad = bench.submit("true", after=[f"{array.ref}_1"])

    states = [job.wait(timeout=60).state for job in (whole, good, bad)]
    assert states == [State.FAILED, State.SUCCEEDED, State.FAILED]


def test_a_deleted_upstream_is_no_good_end(bench: Bench) -> None:
    """How it ended is not known any more, and the reason says so; for ``any`` it has ended."""
    holder = bench.sleeper(gpus=4)
    upstream, _ = bench.run("true")
    after_ok = bench.submit("true", gpus=1, after=[upstream])
    after_any = bench.submit("true", gpus=1, after=[f"any:{upstream.ref}"])
    upstream.delete()
    holder.cancel()

    status = after_ok.wait(timeout=60)
    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.DEPENDENCY)
    assert "was deleted" in str(status.reason)
    assert after_any.wait(timeout=60).succeeded


@pytest.mark.parametrize("name", ["987654", "1_7", "0", "x", "99999999999999999999999999", "\u00b2", "1_\u00b2"])
def test_an_unknown_upstream_is_refused(bench: Bench, name: str) -> None:
    """Whatever it looks like; nothing is made."""
    bench.run("true")

    with pytest.raises(NotFoundError, match="after"):
        bench.submit("true", after=[f"local://local/{name}"])
    assert len(bench.client.list_jobs(finished=True)) == 1


def test_an_upstream_elsewhere_is_refused(bench: Bench) -> None:
    """Another target's end is not this machine's to know."""
    with pytest.raises(UnsupportedError, match="after"):
        bench.submit("true", after=["slurm://lab/12"])


def test_a_cancelled_upstream_is_no_good_end(bench: Bench) -> None:
    """Its dependents fail, also while it waits itself."""
    bench.sleeper(gpus=4)
    upstream = bench.submit("true", gpus=1)
    job = bench.submit("true", after=[upstream])
    upstream.cancel()

    status = job.wait(timeout=60)
    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.DEPENDENCY)
