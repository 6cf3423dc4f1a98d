"""Reading what ``squeue`` prints: rows, and lists of elements that wait."""

from __future__ import annotations

import pytest

from gpujobs_slurm._queue import Queue
from gpujobs_slurm._rows import Row, elements

SQUEUE = (
    '12_3|RUNNING|None|n[1-2]|1|1700000000|1700000010|1700003610|0|train.0123456789ab|{"gpujobs":1}|\n'
    "13|FAILED|NonZeroExitCode|n1|0|1700000000|1700000010|1700000011|10752|odd|a|b|\n"
    "14|PENDING|Resources||0|1700000000|N/A|N/A|0:0|x||\n"
    "rest of a comment with a line break|\n"
)


def test_squeue_s_lines_are_read() -> None:
    """A bar in a comment, a line break in one, N/A, raw exit codes."""
    queue = Queue()
    assert queue.add(SQUEUE)
    rows = [row for job_id in ("12_3", "13", "14") if (row := queue.get(job_id))]

    assert set(queue.lines) == {"12_3", "13", "14"}
    assert rows[0] == Row(
        "12_3",
        "RUNNING",
        "None",
        "n[1-2]",
        1,
        1700000000,
        1700000010,
        1700003610,
        0,
        0,
        "train.0123456789ab",
        '{"gpujobs":1}',
    )
    assert (rows[1].exit_code, rows[1].comment, rows[2].started) == (42, "a|b", None)


WAITING_ARRAY = "5_[{}]|PENDING|Resources||0|1|N/A|N/A|0|x||\n5_11|RUNNING|None|n1|0|1|2|9|0|x||\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [("0-3,5", [0, 1, 2, 3, 5]), ("1-7:3%2", [1, 4, 7]), ("8", [8]), ("7,9-10%5", [7, 9, 10]), ("0-1:0", [0, 1])],
)
def test_elements_that_wait_are_one_row_of_squeue(text: str, found: list[int]) -> None:
    """Each of them gets it; one that has started has its own."""
    queue = Queue()

    assert queue.add(WAITING_ARRAY.format(text))

    assert elements(f"[{text}]") == found
    rows = {index: queue.get(f"5_{index}") for index in range(12)}
    assert [index for index, row in rows.items() if row and row.state == "PENDING"] == found
    assert [index for index, row in rows.items() if row and row.state == "RUNNING"] == [11]
    assert queue.elements("5") == [*found, 11]


def test_a_list_of_elements_that_was_cut_names_none() -> None:
    """Its last number may be half of one."""
    queue = Queue()

    assert not queue.add("5_[0,3,6,9,1|PENDING|Resources||0|1|N/A|N/A|0|x||\n6|PENDING|None||0|1|N/A|N/A|0|x||\n")

    assert set(queue.lines) == {"6"}
