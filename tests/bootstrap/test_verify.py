"""What counts as a proof, and what does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from gpujobs.bootstrap import LocalShell, Machine
from gpujobs.bootstrap.slurm import SlurmWish
from gpujobs.bootstrap.slurm.verify import _AWAIT, gpu_check, isolation_check, nodes_ready, parse_job, verify
from tests.bootstrap.test_plans import machine

if TYPE_CHECKING:
    from pathlib import Path

    from gpujobs.bootstrap.verify import Check
    from tests.bootstrap.conftest import ScriptedShell

GPU = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)\n"


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("c1 idle\n", True),
        ("c1 idle\nn1 mixed\nn2 allocated\n", True),
        ("c1 idle\nn1 down*\n", False),
        ("c1 idle*\n", False),
        ("c1 drained\n", False),
        ("c1 inval\n", False),
        ("", False),
    ],
)
def test_nodes_are_ready_only_all_of_them(text: str, ready: bool) -> None:  # noqa: FBT001
    """No node at all is not ready either."""
    assert nodes_ready(text) == ready


def test_an_nvidia_smi_that_exits_well_proves_nothing() -> None:
    """Only a line of a GPU does; and a job without a GPU must print none."""
    assert gpu_check("c1", GPU).ok
    assert not gpu_check("c1", "No devices were found\n").ok
    assert not gpu_check("c1", "").ok
    assert not gpu_check("c1", "warning: see GPU 0: later\n").ok
    assert isolation_check("c1", "No devices were found\ngpujobs-verify-ran\n").ok
    assert not isolation_check("c1", "No devices were found\n").ok
    assert not isolation_check("c1", "job 2 did not end in 90 s: PENDING").ok
    assert not isolation_check("c1", GPU + "gpujobs-verify-ran\n").ok


def test_job_ids_are_read() -> None:
    """With a cluster's name behind, or not at all."""
    assert (parse_job("17\n"), parse_job("17;lab\n"), parse_job("sbatch: error")) == ("17", "17", "")


def run(scripted: ScriptedShell, journal: Machine, **wish: Any) -> list[Check]:
    """Verify a cluster of one scripted machine."""
    facts = {"localhost": machine("debian12")}
    machines = {"localhost": Machine("localhost", scripted, journal.journal)}
    return list(verify(SlurmWish.model_validate(wish), facts, machines, sleep=lambda _: None))


@pytest.fixture
def healthy(scripted: ScriptedShell) -> ScriptedShell:
    """A cluster whose jobs get the GPU they ask for."""
    scripted.answer("munge -n", "MUNGE:x")
    scripted.answer("scontrol ping", "Slurmctld(primary) at gpu01 is UP\n")
    scripted.answer("sinfo", "gpu01 idle\n")
    scripted.answer("sbatch", "1\n", "2\n")
    scripted.answer("cat /var/spool/slurm/d/gpujobs-verify-1.out", GPU)
    scripted.answer("cat /var/spool/slurm/d/gpujobs-verify-2.out", "No devices were found\ngpujobs-verify-ran\n")
    return scripted


def test_a_healthy_cluster_proves_itself(healthy: ScriptedShell, machine: Machine) -> None:
    """Trust, answers, nodes, a GPU where asked and none where not."""
    checks = run(healthy, machine)

    assert [check.ok for check in checks] == [True] * 5
    sent = [line for line in healthy.ran if line.startswith("sbatch")]
    assert "--gres=gpu:1" in sent[0]
    assert "--gres" not in sent[1]
    assert "-w gpu01" in sent[0]
    assert [line for line in healthy.ran if line.startswith("rm")] == [
        "rm -f -- /var/spool/slurm/d/gpujobs-verify-1.out",
        "rm -f -- /var/spool/slurm/d/gpujobs-verify-2.out",
    ]


def test_a_gpu_that_everybody_sees_is_no_isolation(healthy: ScriptedShell, machine: Machine) -> None:
    """The failed proof comes with the logs that matter."""
    healthy.answer("cat /var/spool/slurm/d/gpujobs-verify-2.out", GPU)
    healthy.answer("sh -c tail", "slurmd: error: cgroup\n")

    failed = [check for check in run(healthy, machine) if not check.ok]

    assert [check.title for check in failed] == ["A job on gpu01 without a GPU sees none"]
    assert "slurmd: error: cgroup" in failed[0].evidence


def test_without_slurmctld_nothing_more_is_asked(healthy: ScriptedShell, machine: Machine) -> None:
    """A dead controller is one failure, not five."""
    healthy.answer("scontrol ping", "Slurmctld(primary) at gpu01 is DOWN\n")

    checks = run(healthy, machine)

    assert [(check.title, check.ok) for check in checks][-1] == ("slurmctld answers", False)
    assert not any(line.startswith("sbatch") for line in healthy.ran)


def test_a_node_that_is_not_ready_gets_no_job(healthy: ScriptedShell, machine: Machine) -> None:
    """It would wait for the whole time limit and prove nothing."""
    healthy.answer("sinfo", "gpu01 unknown*\n")

    checks = run(healthy, machine)

    assert (checks[-1].title, checks[-1].ok) == ("Every node is ready for jobs", False)
    assert not any(line.startswith("sbatch") for line in healthy.ran)


def test_a_job_that_never_starts_is_cancelled(healthy: ScriptedShell, machine: Machine) -> None:
    """A full node is told as such, and the probe does not stay in the queue."""
    healthy.answer("sbatch", "7\n")
    healthy.answer("sh -c end=", 1)
    healthy.answer("squeue", "PENDING Resources\n")

    checks = run(healthy, machine)

    assert (checks[3].ok, checks[3].detail) == (False, "job 7 did not end in 90 s: PENDING Resources")
    assert "scancel 7" in healthy.ran


def test_a_job_without_output_is_no_proof(healthy: ScriptedShell, machine: Machine) -> None:
    """Its state is told, and counts for nothing."""
    healthy.answer("sbatch", "7\n")
    healthy.answer("sh -c end=", "COMPLETED\n")
    healthy.answer("cat /var/spool/slurm/d/gpujobs-verify-7.out", 1)

    checks = run(healthy, machine)

    assert (checks[3].ok, checks[3].detail) == (False, "job 7 printed nothing and is COMPLETED")


@pytest.mark.parametrize(
    ("answers", "exit_code", "said"),
    [
        (["PENDING", "RUNNING", "COMPLETING", "COMPLETED"], 0, "COMPLETED"),
        (["PENDING", "slurm_load_jobs error: Socket timed out", "FAILED"], 0, "FAILED"),
        (["PENDING"], 1, ""),
    ],
)
def test_a_job_is_awaited_to_its_final_state(
    answers: list[str], exit_code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it ends, past a slurmctld that does not answer for a moment, and not for ever."""
    lines = "\n".join(f"  {n}) echo '{answer}' ;;" for n, answer in enumerate(answers, 1))
    (tmp_path / "squeue").write_text(
        f"#!/bin/sh\necho . >> {tmp_path}/asked\ncase $(grep -c . {tmp_path}/asked) in\n{lines}\n"
        f"  *) echo '{answers[-1]}' ;;\nesac\n"
    )
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    ended = LocalShell().run(("sh", "-c", _AWAIT, "await", "7", "2"))

    assert (ended.exit_code, ended.text.strip()) == (exit_code, said)


def test_a_refused_job_is_quoted(healthy: ScriptedShell, machine: Machine) -> None:
    """What sbatch says is the detail."""
    healthy.answer("sbatch", "sbatch: error: Requested node configuration is not available\n")

    assert "Requested node configuration" in run(healthy, machine)[3].detail


def test_records_and_http_are_proved_where_wished(healthy: ScriptedShell, machine: Machine) -> None:
    """The last job has to be in the records, and a token has to be taken."""
    healthy.answer("sacct", "", "2|COMPLETED\n")
    healthy.answer("scontrol token", "SLURM_JWT=secret\n")
    healthy.answer("bash -c", "HTTP/1.1 200 OK\r\n")

    checks = run(healthy, machine, accounting=True, rest=True)

    assert [check.ok for check in checks[-2:]] == [True, True]
    assert not any("secret" in line for line in healthy.ran)
    healthy.answer("sacct", "")
    healthy.answer("bash -c", "HTTP/1.1 401 UNAUTHORIZED\r\n")
    assert [check.ok for check in run(healthy, machine, accounting=True, rest=True)[-2:]] == [False, False]
    healthy.answer("scontrol token", 1)
    assert "makes no token" in run(healthy, machine, rest=True)[-1].detail


def test_a_machine_that_does_not_trust_is_named(healthy: ScriptedShell, machine: Machine) -> None:
    """A credential that is refused, or that was never made."""
    healthy.answer("unmunge", 15)
    assert not run(healthy, machine)[0].ok
    healthy.answer("unmunge", 0)
    healthy.answer("munge -n", 6)
    assert not run(healthy, machine)[0].ok
