"""Logs of local jobs."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gpujobs import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.local.conftest import Bench


def test_the_log_of_what_waits_is_empty_and_following_waits(bench: Bench) -> None:
    """Without follow it ends at once; with it, it gives every line of the later run."""
    holder = bench.sleeper(gpus=4)
    job = bench.submit("echo one; sleep 0.3; echo two", gpus=1)
    assert bench.text(job) == []
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.extend(bench.text(job, follow=True)))
    thread.start()
    time.sleep(0.3)
    holder.cancel()
    thread.join(timeout=60)

    assert seen == ["one", "two"]


def test_a_follower_sees_a_line_within_a_fifth_of_a_second(bench: Bench) -> None:
    """Three of many: on a busy machine a line may be late, on none may all be."""
    job = bench.submit("for i in $(seq 200); do date +%s.%N; sleep 0.15; done")
    early = (line for line in job.logs(follow=True) if time.time() - float(line.text) < 0.2)

    assert len([*itertools.islice(early, 3)]) == 3


def test_replicas_are_told_apart(bench: Bench) -> None:
    """Merged in order, each line with its replica; one alone; followed."""
    job, _ = bench.run("echo $GPUJOBS_ARRAY_INDEX; echo end", array=3)

    assert [(line.replica, line.text) for line in job.logs()] == [
        (i, text) for i in range(3) for text in (str(i), "end")
    ]
    assert bench.text(job, replica=1) == ["1", "end"]
    assert bench.text(job, tail=1) == ["end"] * 3
    assert sorted(bench.text(job, follow=True)) == ["0", "1", "2", "end", "end", "end"]
    with pytest.raises(NotFoundError, match="no replica 3") as caught:
        bench.text(job, replica=3)
    assert "0 to 2" in caught.value.next_step


def test_stdout_and_stderr_share_a_file_in_the_order_of_writing(bench: Bench) -> None:
    """Unless ``error`` names one: then each line knows its stream."""
    script = "echo a; echo b >&2; echo c"
    together, _ = bench.run(script)
    assert [(line.text, line.stream) for line in together.logs()] == [("a", None), ("b", None), ("c", None)]

    apart, _ = bench.run(script, error="%j.err", workdir=str(bench.directory))
    assert {(line.text, line.stream) for line in apart.logs()} == {("a", "stdout"), ("b", "stderr"), ("c", "stdout")}
    assert (bench.directory / f"{apart.ref.id}.err").read_text() == "b\n"


def test_output_patterns_name_files_in_the_workdir(bench: Bench, tmp_path: Path) -> None:
    """Per element and per attempt; directories are made."""
    job, _ = bench.run(
        "echo $GPUJOBS_ARRAY_INDEX.$GPUJOBS_ATTEMPT; exit 1",
        array=2,
        retries=1,
        name="n/m",
        output="out/%x-%A_%a-%%.txt",
        workdir=str(tmp_path),
    )

    names = {p.name: p.read_text() for p in (tmp_path / "out").iterdir()}
    stem = f"n_m-{job.ref.id}"
    assert names == {
        f"{stem}_{i}-%.txt{suffix}": f"{i}.{attempt}\n" for i in (0, 1) for attempt, suffix in ((0, ""), (1, ".1"))
    }
    assert bench.text(job, replica=1, attempt=1) == ["1.1"]


def test_elements_do_not_share_a_pattern_without_an_index(bench: Bench, tmp_path: Path) -> None:
    """The index is appended, or all would write over each other."""
    bench.run("echo $GPUJOBS_ARRAY_INDEX", array=2, output="log", workdir=str(tmp_path))

    assert sorted((p.name, p.read_text()) for p in tmp_path.glob("log*")) == [("log.0", "0\n"), ("log.1", "1\n")]


def test_an_output_file_that_cannot_be_opened_is_told(bench: Bench) -> None:
    """The job has FAILED, and the reason names the file."""
    _, status = bench.run("echo hi", output="/proc/no/such/place")

    assert not status.succeeded
    assert "/proc/no" in str(status.reason)


def test_a_big_log_is_read_whole_and_its_tail_at_once(bench: Bench) -> None:
    """A hundred megabytes; the last lines do not cost reading the others."""
    program = (
        "import sys; line = b'x' * 999 + b'\\n'\n"
        "for i in range(105): sys.stdout.buffer.write(line * 1000)\n"
        "print('end')"
    )
    job = bench.client.submit([sys.executable, "-c", program])
    assert job.wait(timeout=60).succeeded

    def took() -> float:
        began = time.monotonic()
        assert bench.text(job, tail=2) == ["x" * 999, "end"]
        return time.monotonic() - began

    assert min(took() for _ in range(5)) < 1
    assert sum(1 for _ in job.logs()) == 105_001


def test_logs_of_what_never_was(bench: Bench) -> None:
    """NotFoundError, before and after the first submission."""
    for _ in range(2):
        with pytest.raises(NotFoundError):
            list(bench.client.logs("local://local/99"))
        bench.run("true")


def test_exec_runs_beside_the_job(bench: Bench) -> None:
    """With its environment, directory and GPUs; stdin, both streams and the code come through."""
    job = bench.sleeper(gpus=2, env={"A": "b c"}, workdir=str(bench.directory))
    bench.running(job)
    script = 'cat; echo "$A|$CUDA_VISIBLE_DEVICES|$PWD"; echo oops >&2; exit 7'
    result = job.exec(["sh", "-c", script], stdin=b"in\n")

    assert (result.exit_code, result.stderr) == (7, b"oops\n")
    assert result.stdout == f"in\nb c|0,1|{bench.directory}\n".encode()
    assert job.exec(["sh", "-c", "kill -9 $$"]).exit_code == 137
    with pytest.raises(NotFoundError, match="replica 1"):
        job.exec(["true"], replica=1)


def test_exec_where_nothing_runs_is_not_found(bench: Bench) -> None:
    """After the end, for an element that is none, for a program that is none."""
    job = bench.submit("exec sleep 600", array=2)
    bench.until(lambda: job.status().replicas.running == 2)
    assert job.exec(["sh", "-c", "echo $GPUJOBS_ARRAY_INDEX"], replica=1).stdout == b"1\n"
    with pytest.raises(NotFoundError):
        job.exec(["true"], replica=5)
    with pytest.raises(Exception, match="no-such"):
        job.exec(["no-such"])
    job.cancel()
    job.wait(timeout=60)

    with pytest.raises(NotFoundError):
        job.exec(["true"])
