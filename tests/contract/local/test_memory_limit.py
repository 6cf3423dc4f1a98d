"""Memory limits: by control group where one may be made, refused by name where not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from gpujobs import GpuJob, PreflightError, Reason, State
from gpujobs_local import _cgroup

if TYPE_CHECKING:
    from tests.contract.local.conftest import Bench

EAT = "x = bytearray(300 << 20); print(len(x))"


def limited(bench: Bench, command: list[str], memory: str = "100MiB") -> GpuJob | None:
    """A job with a memory limit; None where it was refused by name, as it must be where it cannot be limited."""
    spec = GpuJob(command=command, memory=memory, grace=1)
    if _cgroup.permitted():
        return spec
    with pytest.raises(PreflightError, match="memory"):
        bench.client.submit(spec)
    return None


def test_too_much_memory_is_oom_and_no_other_kill(bench: Bench) -> None:
    """The kernel's kill of a job over its limit is told from anybody else's."""
    spec = limited(bench, [sys.executable, "-c", EAT])
    if spec is None:
        return
    status = bench.client.submit(spec).wait(timeout=60)
    killed = bench.client.submit(spec.replace(command=["sh", "-c", "kill -9 $$"])).wait(timeout=60)

    assert (status.state, status.reason and status.reason.code) == (State.FAILED, Reason.OOM)
    assert (killed.state, killed.reason and killed.reason.code) == (State.FAILED, Reason.SIGNAL)


def test_an_oom_that_the_command_survives_is_a_warning(bench: Bench) -> None:
    """Exit 0 is SUCCEEDED; the reason says that a process of it was killed for want of memory."""
    spec = limited(bench, ["sh", "-c", f"{sys.executable} -c '{EAT}' || echo survived"])
    if spec is None:
        return
    job = bench.client.submit(spec)
    status = job.wait(timeout=60)

    assert (status.state, status.exit_code, status.reason and status.reason.code) == (State.SUCCEEDED, 0, Reason.OOM)
    assert bench.text(job)[-1] == "survived"


def test_an_oom_failure_is_retried(bench: Bench) -> None:
    """Each attempt has a group and a count of its own."""
    script = f"test $GPUJOBS_ATTEMPT = 1 && exit 0; {sys.executable} -c '{EAT}'; exit 3"
    spec = limited(bench, ["sh", "-c", script])
    if spec is None:
        return
    status = bench.client.submit(spec.replace(retries=1)).wait(timeout=60)

    assert (status.state, status.attempt, status.reason) == (State.SUCCEEDED, 1, None)


def test_the_limit_is_not_that_of_jobs_it_submits(bench: Bench) -> None:
    """A job submitted by a limited job runs beside it, under its own limit or none."""
    nested = (
        "import sys\nfrom pathlib import Path\nfrom gpujobs import Client, Config\n"
        "c = Client(Config.parse('[targets.local]\\nbackend = \"local\"\\ngpus = 4'), state_dir=Path(sys.argv[1]))\n"
        f"print(c.submit([sys.executable, '-c', {EAT!r}]).ref)\n"
    )
    spec = limited(bench, [sys.executable, "-c", nested, str(bench.directory)])
    if spec is None:
        return
    outer = bench.client.submit(spec)
    assert outer.wait(timeout=60).succeeded, bench.text(outer)

    assert bench.client.wait(bench.text(outer)[-1], timeout=60).succeeded


def test_more_than_the_machine_has_is_refused(bench: Bench) -> None:
    """With how much there is."""
    with pytest.raises(PreflightError, match="memory") as caught:
        bench.client.submit(["true"], memory="900TiB")
    assert "MiB" in caught.value.next_step


def test_groups_are_removed(bench: Bench) -> None:
    """Nothing is left in the control group file system, also where a child was left behind."""
    job, _ = bench.run("sleep 600 & exit 0", grace=1)
    store = bench.rows("SELECT value FROM meta WHERE name = 'id'")[0][0]
    bench.until(lambda: not bench.ours("_supervisor"))

    assert not _cgroup._groups(_cgroup.prefix(f"{store}/{job.ref.id}_0"))
