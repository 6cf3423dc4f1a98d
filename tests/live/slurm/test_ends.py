"""The truth about the end, case by case, on every version, with accounting and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from slurm_tables import Table, sh

from gpujobs import Reason, State, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurm_beds import Cluster


@pytest.fixture(params=["plain", "accounted", "newer", "newest"])
def table(request: pytest.FixtureRequest, use: Callable[[Cluster], None]) -> Table:
    """The cases of one cluster."""
    found: Table = request.getfixturevalue(f"{request.param}_table")
    use(found.cluster)
    return found


def code(status: Status) -> Reason | None:
    """The reason's code."""
    return status.reason.code if status.reason else None


@pytest.mark.parametrize(
    ("case", "state", "reason", "exit_code", "signal"),
    [
        ("ok", State.SUCCEEDED, None, 0, None),
        ("exit", State.FAILED, Reason.EXIT_CODE, 42, None),
        ("signal", State.FAILED, Reason.SIGNAL, None, 9),
        ("script killed", State.FAILED, Reason.SIGNAL, None, 9),
        ("no log directory", State.FAILED, Reason.LAUNCH_FAILED, None, None),
        ("not found", State.FAILED, Reason.EXIT_CODE, 127, None),
        ("cancelled running", State.CANCELLED, Reason.CANCELLED, None, None),
        ("cancelled ignoring TERM", State.CANCELLED, Reason.CANCELLED, None, None),
        ("cancelled pending", State.CANCELLED, Reason.CANCELLED, None, None),
        ("mixed array", State.FAILED, Reason.EXIT_CODE, 1, None),
        ("requeued by hand", State.SUCCEEDED, None, 0, None),
        ("node down", State.FAILED, Reason.NODE_FAIL, None, None),
        ("deadline", State.FAILED, Reason.DEADLINE, None, None),
        ("time limit", State.FAILED, Reason.TIMEOUT, None, None),
    ],
)
def test_an_end_is_told(  # noqa: PLR0917  # one parameter for each thing that differs
    table: Table, case: str, state: State, reason: Reason | None, exit_code: int | None, signal: int | None
) -> None:
    """State, reason, exit code and signal, and the same again when asked later."""
    status = table.end(case)

    assert (status.state, code(status), status.exit_code, status.signal) == (state, reason, exit_code, signal), status
    assert table.jobs[case].status() == status


def test_every_element_has_its_own_end(table: Table) -> None:
    """The array sums up what its elements say."""
    table.end("mixed array")

    assert [r.exit_code for r in table.jobs["mixed array"].replicas()] == [0, 1, 0]
    assert table.client.status(f"{table.jobs['mixed array'].ref}_1").exit_code == 1


def test_a_requeue_is_an_attempt(table: Table) -> None:
    """The job that was requeued ended well in its second attempt."""
    assert table.end("requeued by hand").attempt == 1


def test_an_end_stays_when_slurm_has_forgotten_it(table: Table) -> None:
    """A new client, asking long after, is told the same, also of jobs whose end nobody saw before."""
    unseen = table.client.submit_many([sh("exit 5"), sh("exit 0"), sh("kill -USR2 $$")])
    ids = {job.ref.id.partition("_")[0] for job in unseen}
    if "--minjobage" in table.cluster.options:
        table.cluster.until_forgotten(*ids)
    else:
        table.cluster.until_ended(*ids)

    assert [s.exit_code for s in table.client.status(unseen)] == [5, 0, None]
    assert table.client.status(unseen)[2].signal == 12
    assert table.end("exit").exit_code == 42
